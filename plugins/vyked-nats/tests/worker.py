"""A consumer in a process of its own, to be killed: writes ``id count`` of each event that it handles into a file, then acks."""

import asyncio
import os
import sys

from vyked_nats.jetstream.bus import JetStreamBus
from vyked_nats.options import JetStreamOptions

from vyked_host import CallError
from vyked_host.contracts import TimingTable
from vyked_host.testing import environment
from vyked_host.testing.conformance.pubsub import ACK, to


async def main(url: str, mesh: str, path: str, ack_wait: float) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def handle(delivery) -> None:
        os.write(file, f"{delivery.event.id} {delivery.count}\n".encode())
        delivery.settle(ACK)

    timing = TimingTable(ping=0.4, pong=0.3, dial=1.5)
    async with environment(namespace=mesh, timing=timing) as env:
        bus = JetStreamBus(JetStreamOptions(url=url, ack_wait=ack_wait), env)
        while True:
            try:
                await bus.subscribe(to("g", env.node_id, concurrency=64), handle)
                break
            except CallError:  # the server is away just now
                await asyncio.sleep(0.1)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
