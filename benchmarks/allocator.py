"""What a process's memory is made of: what Python and C have in use, what their allocators keep of what was in use, and what is left
once the C heap has given back all that it can. Needs CPython on glibc (malloc_info(3), malloc_trim(3))."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
import tempfile
from pathlib import Path

import msgspec

MIB = 1 << 20
_FIELDS = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]


class Memory(msgspec.Struct, kw_only=True):
    """Of one process, in MiB. `python` and `c`: in use; `python_kept` and `c_kept`: free, and kept by their allocators;
    `resident`, and `trimmed`, the same after malloc_trim."""

    resident: float
    trimmed: float
    python: float
    python_kept: float
    c: float
    c_kept: float


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def look() -> Memory:
    """This process now; afterwards the C heap is as small as it gets."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo
    heap = libc.mallinfo2()
    python, python_kept = _python()
    resident = _resident()
    gc.collect()
    libc.malloc_trim(0)
    return Memory(
        resident=resident, trimmed=_resident(), python=python, python_kept=python_kept,
        c=(heap.uordblks + heap.hblkhd) / MIB, c_kept=heap.fordblks / MIB,
    )  # fmt: skip


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _python() -> tuple[float, float]:
    """(in use, kept) of Python's own allocator, which tells its statistics to standard error alone."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as told:
        before = os.dup(2)
        try:
            os.dup2(told.fileno(), 2)
            sys._debugmallocstats()
        finally:
            os.dup2(before, 2)
            os.close(before)
        told.seek(0)
        text = told.read().decode()
    used = _number(text, r"# bytes in allocated blocks\s*=\s*([\d,]+)")
    total = _number(text, r"arenas \* \d+ bytes/arena\s*=\s*([\d,]+)")
    return used / MIB, (total - used) / MIB


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern!r} in what this Python says of its allocator")
    return int(found[1].replace(",", ""))
