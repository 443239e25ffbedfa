"""Which values nobody may see: those whose key is called like a secret, passwords in addresses, and what a host tells authenticators."""

from __future__ import annotations

import re

from .paths import Path

NAMES = re.compile(
    r"pass(word|wd|phrase)?\b|secret|token|credential|private|api_?key|_key\b|pepper|\bdsn\b", re.IGNORECASE
)
"""What secrets are called."""
HIDDEN = "***"
_IDENTITY: Path = ("security", "identity")
# user:password@, also where the password holds what should be percent-encoded; HOST:PORT/ is none, nor are the hosts after a comma
_PASSWORD = re.compile(r"(://[^/@:\s\"',]*:)(?!\d*(?:[/?#]|\Z))(?:(?!,[\w+.-]+://)[^\s\"'])+(@)")
_LONE_USER = re.compile(r"(://)[^/@:\s\"',]+(@)")  # a token, for NATS and for some over HTTP
_IN_QUERY = re.compile(rf"([?&][\w-]*(?:{NAMES.pattern})[\w-]*=)[^&\s\"'#]+", re.IGNORECASE)
_DEFAULT = re.compile(r"(\$\{\w+:-)[^}]+(?=\}|\Z)")


def is_secret(path: Path) -> bool:
    """Is what stands at `path` one, whatever it came from? Items of a list go by the list's key."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    return bool(NAMES.search(key)) or (path[:2] == _IDENTITY and len(path) > 2)


def without_passwords(text: str) -> str:
    """`text`, the addresses in it without passwords."""
    if "://" not in text:
        return text
    text = _PASSWORD.sub(rf"\1{HIDDEN}\2", text)
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _LONE_USER.sub(rf"\1{HIDDEN}\2", text))


def without_defaults(written: str) -> str:
    """A secret as written, with references: what stands in the file for where a variable is not set is one, too."""
    return _DEFAULT.sub(rf"\1{HIDDEN}", written)
