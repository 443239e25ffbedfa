"""What does not let itself be stopped: a second signal ends the process all the same, and says what was left."""

import signal
from concurrent.futures import ThreadPoolExecutor

from .program import command

STUCK = """
import asyncio
import time

from vyked_host import Service, api


class Stuck(Service, name="stuck", version="1.0.0"):
    @api(blocking=True)
    def block(self) -> None:
        self.log.info("blocking now")
        time.sleep(600)


class Starts(Service, name="starts", version="1.0.0"):
    async def on_start(self) -> None:
        self.log.info("starting now")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.info("clearing up")
            await asyncio.Event().wait()
"""
FILE = '[host]\nmesh = "stuck"\n[transports.tcp]\nport = 0\n[services.it]\nuse = "stuck:%s"\n'


def written(folder, service):
    (folder / "stuck.py").write_text(STUCK)
    (folder / "vyked.toml").write_text(FILE % service)
    return folder


def test_a_thread_that_nobody_can_interrupt_does_not_keep_the_process(launch, tmp_path):
    host = launch(folder=written(tmp_path, "Stuck")).ready()
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(command, "call", "stuck.block", "--address", host.address(0), "--mesh", "stuck")
        host.said("blocking now")
        host.signal(signal.SIGTERM)
        host.said("draining: 1")
        host.signal(signal.SIGTERM)
        assert host.ends() == 1
        assert answer.result()[0] == 5
    assert "stuck.block" in host.said("still running")
    assert "vyked-blocking" in host.said("the process ends without them")


def test_a_start_that_does_not_end_when_it_is_told_to_ends_at_the_second_signal(launch, tmp_path):
    host = launch(folder=written(tmp_path, "Starts"))
    host.said("starting now")
    host.signal(signal.SIGTERM)
    host.said("clearing up")
    host.signal(signal.SIGTERM)
    assert host.ends() == 1
    assert "Traceback" not in host.words
