"""What is counted of calls, and the lines that are logged of it."""

import logging

import pytest
from vyked import TCPService, VykedServiceException, api
from vyked.utils.stats import Aggregator, Stats

from vyked_host import Host
from vyked_host.testing import eventually

TEXT = """
[plugins]
autoload = false
[middleware]
server = ["classic"]
[transports.local]
[timing]
scale = 0.005
hello = 1000
start = 2000
stop = 2000
dial = 1000
"""


class Counted(TCPService):
    def __init__(self):
        super().__init__("counted", 1, "127.0.0.1", 0)

    @api
    def works(self):
        return 1

    @api
    def refuses(self):
        raise VykedServiceException("no")

    @api
    def breaks(self):
        raise RuntimeError("broken")


async def test_outcomes_are_counted_by_endpoint_and_logged(caplog):
    caplog.set_level(logging.INFO, "stats")
    before = dict(Stats.tcp_stats)
    async with Host(Counted(), text=TEXT) as host:
        client = host.client("counted")
        assert await client.works() == 1
        with pytest.raises(Exception, match="no"):
            await client.refuses()
        with pytest.raises(Exception, match="broken"):
            await client.breaks()
        await eventually(lambda: any("CODE_handled_error" in each.message for each in caplog.records))
        await eventually(lambda: any("tcp_total_requests" in each.message for each in caplog.records))
    endpoints = Aggregator.dump_stats()["sub"]["tcp"]["sub"]
    assert endpoints["works"]["sub"]["succesful"]["count"] == 1
    assert endpoints["refuses"]["sub"]["handled_error"]["count"] == 1
    assert endpoints["breaks"]["sub"]["unhandled_error"]["count"] == 1
    assert Stats.tcp_stats["total_requests"] - before["total_requests"] == 3
    assert Stats.tcp_stats["total_errors"] - before["total_errors"] == 2
