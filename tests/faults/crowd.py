"""Many hosts in one process of their own, so that a signal can stop them, and that what they compute keeps nobody else waiting.

python -m tests.faults.crowd FILE COUNT                    watchers
python -m tests.faults.crowd FILE COUNT PREFIX ADDRESS     hosts of Alpha, Beta and Gamma that meet the others at ADDRESS
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from vyked_host.assembly import Host
from vyked_host.assembly.prepare import prepare

from .load import Watching
from .mesh import at
from .test_registry import Alpha, Beta, Gamma


async def watch(file: str, count: int) -> list[Watching]:
    """Join and watch."""
    ready = prepare(file, environ={})
    return [Watching(await Host.joining(ready).start(), str(each)) for each in range(count)]


async def serve(text: str, count: int, prefix: str, address: str) -> list[Host]:
    """Join and serve."""
    names = [f"host.name={prefix}{each + 1}" for each in range(count)]
    return [
        await Host(Alpha, Beta, Gamma, text=text, overrides=[name, *at(address)], environ={}).start() for name in names
    ]


async def main(file: str, text: str, count: str, *where: str) -> None:
    """Begin, say so, and go on until killed."""
    begun = await (serve(text, int(count), *where) if where else watch(file, int(count)))
    print(json.dumps({"message": "ready in a while", "count": len(begun)}), file=sys.stderr)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[1]).read_text(), *sys.argv[2:]))
