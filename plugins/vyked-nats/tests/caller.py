"""A host that serves over subjects alone, in a process of its own, to be killed: prints its node id when it is there, and a line for each call that hangs."""

import asyncio
import sys

from vyked_host import Host, Service, api

FILE = """
[host]
mesh = "m"
[timing]
scale = 0.5
[registry]
use = "nats"
[registry.nats]
url = "{url}"
[pubsub.embedded]
address = "none"
[transports.nats]
url = "{url}"
"""


class Shop(Service, name="shop", version="1.0.0"):
    def __init__(self) -> None:
        self.noted: list[int] = []

    @api(idempotent=True)
    async def echo(self, text: str) -> str:
        return text

    @api
    async def note(self, number: int) -> None:
        self.noted.append(number)

    @api
    async def notes(self) -> list[int]:
        return self.noted

    @api
    async def hang(self) -> None:
        print("a call hangs", flush=True)
        await asyncio.Event().wait()


async def main(url: str) -> None:
    async with Host(Shop, text=FILE.format(url=url)) as host:
        print(host.node.record.node_id, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
