"""A node in a process of its own, to be killed and stopped: announces itself, again where it has to, and prints each generation."""

import asyncio
import sys

from vyked_nats.options import RegistryOptions
from vyked_nats.registry.registry import NatsRegistry

from vyked_host import Unavailable
from vyked_host.contracts import TimingTable
from vyked_host.testing import environment
from vyked_host.testing.conformance.company import record

# whole processes on a machine that does much else: a third of a second more or less has to be nothing
QUICK = TimingTable(heartbeat=0.5, lease=2.0, sweep=0.1, gone_after=1.0, dial=5.0, ping=1.0, pong=1.0)


async def main(url: str, mesh: str, node_id: str) -> None:
    async with environment(namespace=mesh, node_id=node_id, timing=QUICK) as env:
        registry = NatsRegistry(RegistryOptions(url=url), env)
        while True:
            try:
                lease = await registry.announce(record(env, node_id, "shop"))
            except Unavailable:
                await asyncio.sleep(0.1)
                continue
            print(lease.generation.counter, flush=True)
            await lease.lost


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
