"""Many watchers in one process of their own, so that a signal can stop them: python -m tests.faults.crowd FILE COUNT."""

from __future__ import annotations

import asyncio
import json
import sys

from vyked_host.assembly import Host
from vyked_host.assembly.prepare import prepare

from .load import Watching


async def main(file: str, count: int) -> None:
    """Join, watch, say so, and go on until killed."""
    ready = prepare(file, environ={})
    watchers = []
    for each in range(count):
        host = await Host.joining(ready).start()
        watchers.append(Watching(host, str(each)))
    print(json.dumps({"message": "ready in a while"}), file=sys.stderr)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
