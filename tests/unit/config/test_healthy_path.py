"""A healthy file costs no import that only a faulty one needs."""

import subprocess
import sys

PROGRAM = """
import sys
from vyked_host import config, loading
loaded = config.load(text=sys.argv[1], environ={"PORT": "0"}, installed=loading.load(environ={}))
loaded.require()
assert loaded.plain
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEALTHY = """
[host]
name = "demo"
[transports.tcp]
port = "${PORT}"
[limits]
message = "1MiB"
[clients.default]
balancer = "hash"
"""


def modules(text: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, text], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_positions_schemas_and_terminal_colours_are_imported_late():
    assert not {"tree_sitter", "tree_sitter_toml", "jsonschema", "rich", "toml", "redis", "aiohttp"} & set(
        modules(HEALTHY)
    )
