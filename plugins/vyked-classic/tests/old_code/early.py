"""A service whose module has helpers of its own."""

import asyncio

from vyked import TCPService, api


@asyncio.coroutine
def outside(text):
    yield from asyncio.sleep(0)
    return text.upper()


class Early(TCPService):
    def __init__(self, ip, port):
        super().__init__("early", 1, ip, port)

    @api
    def shout(self, text):
        return (yield from outside(text))
