"""A registry as people wrote it: `registry.py PORT [REPOSITORY]`."""

import sys

from vyked import Registry
from vyked.registry import Repository

if __name__ == "__main__":
    port = int(sys.argv[1])
    registry = Registry("0.0.0.0", port, Repository()) if sys.argv[2:] else Registry("", port)
    registry.start()
