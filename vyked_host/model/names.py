"""Names: services, nodes, meshes, endpoints, topics. One rule for all: ``[a-z][a-z0-9_-]{0,63}``, lower-cased."""

from __future__ import annotations

import re
from hashlib import blake2b

from ..errors import UsageError
from .queues import PREFIX, topic_name

_LONGEST = 64
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_NOT_ALLOWED = re.compile(r"[^a-z0-9_-]+")


def name(text: str, what: str = "name") -> str:
    """`text` lower-cased, as every name is; raises UsageError when it can't be one."""
    found = text.lower()
    if not _NAME.match(found):
        raise UsageError(f"{text!r} is no valid {what}: a letter first, then up to 63 letters, digits, '_' or '-'")
    return found


def slug(text: str, default: str) -> str:
    """The nearest valid name to `text` (a folder's name, a host's name), or `default` when nothing is left."""
    found = _NOT_ALLOWED.sub("-", text.lower()).strip("-_").lstrip("0123456789-_")[:64]
    return found if _NAME.match(found) else default


def of_folder(folder: str) -> str:
    """The mesh of the hosts of one folder (an absolute path), where their file names none: the folder's name and a few digits
    of where it is, so that two projects in folders of one name don't mix."""
    place = blake2b(folder.encode(errors="surrogateescape"), digest_size=3).hexdigest()
    return f"{slug(folder.rpartition('/')[2], 'mesh')[: _LONGEST - len(place) - 1]}-{place}"


def split_endpoint(text: str) -> tuple[str, str]:
    """``service.method`` -> both; raises UsageError when it is not of that form."""
    service, dot, method = text.partition(".")
    if not dot or not _METHOD.match(method):
        raise UsageError(f"{text!r} is no endpoint: write SERVICE.METHOD, such as identity.create")
    return name(service, "service name"), method


def split_topic(text: str) -> tuple[str, str, int | None]:
    """``service.event[@major]`` -> service, event, major (None: not said), also of the jobs of a queue; raises UsageError."""
    path, at, major = text.partition("@")
    start, dot, queue = path.partition(f".{PREFIX}")
    service, event = split_endpoint(f"{start}.{queue}" if dot else path)
    if at and not major.isdigit():
        raise UsageError(f"{text!r} is no topic: after '@' comes the major version, such as identity.created@1")
    event = topic_name(event) if dot else event
    return service, event, int(major) if at else None
