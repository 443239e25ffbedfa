"""A registry as people wrote it: `registry.py PORT [REPOSITORY]`."""

import sys

from vyked import Registry
from vyked.registry import Repository

if __name__ == "__main__":
    more = (Repository(),) if sys.argv[2:] else ()
    Registry("127.0.0.1", int(sys.argv[1]), *more).start()
