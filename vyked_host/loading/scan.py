"""One look at the metadata of everything installed. Nothing is imported.

Only distributions that mention our entry-point groups are read further, and of their METADATA only the few header lines
we need: parsing the whole (a long description included) costs ten times as much. A distribution in an editable install
is often seen twice (an egg-info in the working directory, a dist-info in the environment): the dist-info counts, it alone
knows that the install is editable. A distribution whose metadata is broken yields entries that are `failed`, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import importlib_metadata

from .entry import HOOKS, OFFERS, PLUGINS, SERVICE, SERVICES, Entry, normalized


class _Distribution(Protocol):
    @property
    def entry_points(self) -> Any: ...
    def read_text(self, filename: str, /) -> str | None: ...
    def locate_file(self, path: str, /) -> Any: ...


class _Found(NamedTuple):
    distribution: _Distribution
    name: str
    version: str
    requires: tuple[str, ...]
    has_wheel_metadata: bool


def scan() -> tuple[Entry, ...]:
    """Every entry of the groups ``vyked_host.plugins`` and ``vyked_host.services``, ordered by kind, name, distribution."""
    entries = [entry for found in _distributions() for entry in _entries(found)]
    return tuple(sorted(entries, key=lambda entry: (entry.kind, entry.name, normalized(entry.dist))))


def _distributions() -> Iterable[_Found]:
    chosen: dict[str, _Found] = {}
    for distribution in importlib_metadata.distributions():
        if "[vyked_host." not in (distribution.read_text("entry_points.txt") or ""):
            continue
        found = _identify(distribution)
        rival = chosen.get(normalized(found.name))
        if rival is None or (found.has_wheel_metadata and not rival.has_wheel_metadata):
            chosen[normalized(found.name)] = found
    return chosen.values()


def _identify(distribution: _Distribution) -> _Found:
    metadata = distribution.read_text("METADATA")
    headers = list(_headers(metadata or distribution.read_text("PKG-INFO") or ""))
    requires = (value for key, value in headers if key == "requires-dist")
    single = dict(reversed(headers))
    return _Found(
        distribution,
        single.get("name") or str(distribution.locate_file("")),
        single.get("version") or "",
        tuple(value for value in requires if normalized(value).startswith("vyked-host")),
        metadata is not None,
    )


def _headers(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if not line.strip():
            return
        key, colon, value = line.partition(":")
        if colon:
            yield key.lower(), value.strip()


def _entries(found: _Found) -> Iterator[Entry]:
    try:
        points = list(found.distribution.entry_points)
    except Exception as error:  # noqa: BLE001 - one broken entry_points.txt must not hide every other plugin
        yield _broken(found, f"its entry_points.txt can't be read ({error}); install {found.name} again", error)
        return
    for point in points:
        if point.group in (PLUGINS, SERVICES):
            yield _entry(found, point)


def _broken(found: _Found, reason: str, error: BaseException) -> Entry:
    return Entry(HOOKS, found.name, "", PLUGINS, found.name, found.version, state="failed", reason=reason, error=error)


def _entry(found: _Found, point: importlib_metadata.EntryPoint) -> Entry:
    kind, name = _claim(point)
    source = _source(found.distribution)
    entry = Entry(
        kind, name, point.value, point.group, found.name, found.version,
        source is not None, source or str(found.distribution.locate_file("")), found.requires,
    )  # fmt: skip
    if not found.version:
        entry.fail(f"{found.name} has no METADATA that names it; install it again")
    elif kind not in (HOOKS, SERVICE, *OFFERS):
        entry.fail(f"{kind!r} is no kind of plugin; kinds are {', '.join(OFFERS)}")
    return entry


def _claim(point: importlib_metadata.EntryPoint) -> tuple[str, str]:
    if point.group == SERVICES:
        return SERVICE, point.name
    kind, dot, name = point.name.partition(".")
    return (kind, name) if dot else (HOOKS, point.name)


def _source(distribution: _Distribution) -> str | None:
    """The folder of an editable install, None for any other."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        return unquote(urlsplit(origin["url"]).path) if origin["dir_info"]["editable"] else None
    except (ValueError, KeyError, TypeError):
        return None  # from an index, an archive or a repository
