"""Which values nobody may see: those whose key is called like a secret, and what a host tells authenticators."""

from __future__ import annotations

import re

from .paths import Path

NAMES = re.compile(
    r"pass(word|wd|phrase)?\b|secret|token|credential|private|api_?key|_key\b|pepper|\bdsn\b", re.IGNORECASE
)
"""What secrets are called."""
HIDDEN = "***"
_IDENTITY: Path = ("security", "identity")


def is_secret(path: Path) -> bool:
    """Is what stands at `path` one, whatever it came from? Items of a list go by the list's key."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    return bool(NAMES.search(key)) or (path[:2] == _IDENTITY and len(path) > 2)
