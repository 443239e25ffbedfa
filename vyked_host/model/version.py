"""Versions: semver, with short forms; and the one rule of compatibility.

"1" = 1.0.0, "1.2" = 1.2.0. Compatible = same major and not lower; in 0.x the minor acts as the major; pre-releases
(1.3.0-rc.1) only when the wanted version is one too. (Vyked 2.x could give a lower version than asked, and an exact
match that had died: defects 4 and 7.) Ordering follows semver 2.0.0 section 11.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..errors import UsageError

PATTERN = r"^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?\Z"
"""What a version looks like, for those that read one from a peer."""
_SEMVER = re.compile(PATTERN)


class Version(NamedTuple):
    """A parsed version. Compare with :meth:`key`; a pre-release sorts before its release."""

    major: int
    minor: int = 0
    patch: int = 0
    pre: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    def key(self) -> tuple[object, ...]:
        """What to sort by (semver 2.0.0 section 11)."""
        parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre.split(".")] if self.pre else []
        return (self.major, self.minor, self.patch, 0 if self.pre else 1, parts)


@lru_cache(maxsize=1024)
def parse(text: str | int | float) -> Version:
    """`text` as a Version; raises UsageError when it is none."""
    found = _SEMVER.match(str(text))
    if not found:
        raise UsageError(f"{text!r} is no version: write 1, 1.2 or 1.2.3")
    major, minor, patch, pre = found.groups()
    return Version(int(major), int(minor or 0), int(patch or 0), pre or "")


@lru_cache(maxsize=4096)
def compatible(offered: str, wanted: str | None) -> bool:
    """Can an instance at `offered` serve who wants `wanted`? None and "" want any release."""
    have = parse(offered)
    if not wanted:
        return not have.pre
    want = parse(wanted)
    if have.pre and not want.pre:
        return False
    if have.major != want.major or (have.major == 0 and have.minor != want.minor):
        return False
    return have.key() >= want.key()
