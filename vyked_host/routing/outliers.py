"""When an instance that fails again and again is passed over for a while. Pure.

The shape is Envoy's outlier detection (https://github.com/grpc/proposal/blob/master/A50-xds-outlier-detection.md): so many
failures in a row, a pause that grows with each time. The share of instances that may be out at once is larger than there,
since meshes are smaller here; one always stays.
"""

from __future__ import annotations

from ..errors import Code, Executed

FAILURES = 5
"""Calls in a row that have to fail."""
MOST = 10
"""The longest pause, in multiples of the first one."""


def speaks_against(code: Code, executed: Executed) -> bool:
    """Does a call that failed so speak against its instance, rather than against the call or a service behind it?"""
    return code == "DEADLINE_EXCEEDED" or (code == "UNAVAILABLE" and executed == "unknown")


def pause(failures: int, before: int, out: int, total: int, first_s: float) -> float:
    """Seconds for which an instance is passed over after `failures` in a row, when it was `before` times already, and `out` of
    `total` are now; 0.0: it is not. At most half of the instances are out."""
    if failures < FAILURES or (out + 1) * 2 > total:
        return 0.0
    return first_s * min(before + 1, MOST)


def panic(out: int, total: int) -> bool:
    """Are so many of `total` instances out that none may be passed over for its failures? The few that are left can't carry the
    load of all. `pause` never goes so far; instances that leave the mesh, or can't be reached, do."""
    return out * 2 > total
