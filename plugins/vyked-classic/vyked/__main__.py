"""``python -m vyked FILE [ARGUMENT ...]`` runs an old service as it is: what old Pythons had is there before it begins."""

from __future__ import annotations

import sys

from vyked_classic.shim import run_file

if __name__ == "__main__":
    sys.exit(run_file(sys.argv[1:]))
