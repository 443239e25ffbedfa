"""The client end: one pool of connections to one NODE, whose surface says what can be called there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ...contracts import (
    Address,
    Call,
    EndpointDescription,
    Environment,
    Fault,
    Generation,
    Kind,
    Running,
    Sink,
    Surface,
)
from ...errors import CallError, NotFound, NotSupported, Unavailable
from ...model.version import compatible, parse
from . import directory, headers
from .dialling import Prover, check_scheme, fetch, session
from .framing import framing_for
from .options import Options
from .outgoing import Outgoing, RawOutgoing

MISDIRECTED = 421
"""Status of a node that is not the one a request was signed for, or that goes by another name (RFC 9110 15.5.20)."""
FIRST_RAW = 1 << 16
"""Indices from here on are raw calls of this channel; those of a surface stay below."""
RAW_OPTIONS = frozenset(
    {"params", "data", "json", "headers", "cookies", "auth", "allow_redirects", "compress", "chunked"}
)


class Target(NamedTuple):
    """Where calls of one endpoint go."""

    path: str
    url: URL
    kind: Kind
    service: str
    version: str


class HttpChannel:
    """`contracts.Channel` over HTTP. Made by :func:`dial`."""

    def __init__(
        self, base: URL, env: Environment, options: Options, found: directory.Directory, *, is_foreign: bool = False
    ) -> None:  # fmt: skip
        self._is_foreign = is_foreign
        self.env, self._base, self._prover = env, base, Prover(env)
        self.node_id = found.node_id
        self.generation: Generation | None = None
        self.codec = _codec(options.serializer, env, found)
        self.limit = 0 if env.limits.message == "none" else env.limits.message
        self.retired: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self._running: dict[Outgoing, None] = {}
        self._raw: dict[int, Target] = {}
        self._next_id = 0
        self._refreshing = self._parting = False
        content_type = env.serializers()[self.codec].content_type
        self._said = {"Content-Type": content_type, "Accept": content_type, "Accept-Encoding": "identity"}
        stream_type = framing_for(self.codec).content_type
        self._said_streaming = self._said | {"Content-Type": stream_type, headers.SERIALIZER: self.codec}
        self._calls = session(env, base, limit=options.pool)
        self._streams = session(env, base, limit=0)
        self._see(directory.surface_of(found))

    # ---- contracts.Calls -------------------------------------------------------------------------------------------
    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        """Send `call`; its outcome goes to `sink`."""
        self._next_id += 1
        call.id = self._next_id
        target = self._target(call.endpoint)
        if self.retired.done() or target is None:
            sink.fail(call, self._refusal(call))
            return None
        made = RawOutgoing if target.kind is Kind.HTTP else Outgoing
        outgoing = made(self, call, sink, target)
        self._running[outgoing] = None
        outgoing.start()
        return outgoing

    def endpoint(self, wanted: EndpointDescription) -> int:
        """The index to call `wanted` by, the highest compatible version. Raises errors.NotFound naming what exists."""
        if wanted.kind is Kind.HTTP:
            return self._raw_index(wanted)
        if self._is_foreign:
            self.retire("it was no way to call methods")  # the next caller looks for another one
            raise Unavailable(f"{self._base} is no host: it takes requests to its routes only", executed="not_sent")
        found = [
            (parse(each.version).key(), index)
            for index, each in enumerate(self.surface.endpoints)
            if each is not None
            and (each.service, each.name) == (wanted.service, wanted.name)
            and compatible(each.version, wanted.version or None)
        ]
        if not found:
            raise NotFound(
                f"{self.node_id} has no {wanted.path} at {wanted.version or 'any version'}; it has: {self._known()}",
                service=wanted.service, method=wanted.name, executed="not_sent", instance=self.node_id,
            )  # fmt: skip
        return max(found)[1]

    async def aclose(self) -> None:
        """Close every connection; running calls fail with `unknown`. Idempotent."""
        self.retire("the channel was closed")
        for outgoing in list(self._running):
            text = f"{outgoing.target.path}: the channel to {self.node_id} was closed"
            outgoing.cancel(
                Fault(code="UNAVAILABLE", message=text, executed="unknown" if outgoing.sent else "not_sent")
            )
        await self._close_sessions()

    # ---- what a call on its way asks -------------------------------------------------------------------------------
    def connections(self, kind: Kind) -> aiohttp.ClientSession:
        """Streams have connections of their own: they would starve the calls."""
        return self._streams if kind.streams_in or kind.streams_out else self._calls

    def said(self, kind: Kind) -> Mapping[str, str]:
        """The headers that every call has."""
        return self._said_streaming if kind.streams_in else self._said

    def proof(self, target: Target, said: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
        """Headers that say who calls; `body` None: it is a stream."""
        return self._prover.headers(self.node_id, "POST", target.url, said, body)

    def ended(self, outgoing: Outgoing) -> None:
        """`outgoing` has its outcome."""
        self._running.pop(outgoing, None)
        self._part()

    def retire(self, reason: str) -> None:
        """No new calls: the node is leaving or gone. What runs goes on."""
        if not self.retired.done():
            self.retired.set_result(Fault(code="UNAVAILABLE", message=reason, executed="not_sent"))
            self._part()

    def _part(self) -> None:
        """A channel that nobody calls through any more and that is not used holds nothing open."""
        if self.retired.done() and not self._running and not self._parting:
            self._parting = True
            self.env.tasks(self._close_sessions(), f"close http to {self.node_id}")

    async def _close_sessions(self) -> None:
        try:
            await self._calls.close()
        finally:  # both are closed at once, also when the task that waits for it is cancelled
            await self._streams.close()

    def noticed(self, answer: aiohttp.ClientResponse) -> None:
        """What an answer tells about its node: that it drains, that its surface has changed."""
        if headers.DRAINING in answer.headers:
            self.retire(f"{self.node_id} is draining")
        elif answer.status == MISDIRECTED:
            self.retire(f"{self.node_id} is gone: another node answers there")
        elif answer.headers.get(headers.REVISION) != str(self.surface.revision) and not self._refreshing:
            self._refreshing = True
            self.env.tasks(self._refresh(), f"http surface of {self.node_id}")

    def raw_request(self, call: Call, target: Target) -> tuple[str, URL, dict[str, Any]]:
        """Verb, URL and options out of the mapping of a raw call. Raises ValueError for what it can't be."""
        said = {key: value for key, value in dict(call.body).items() if value is not None}
        method, path, app = said.pop("method", "GET"), said.pop("path", ""), said.pop("app_name", None)
        unknown = set(said) - RAW_OPTIONS
        if unknown or not str(path).startswith("/"):
            raise ValueError(
                f"a request needs a path from '/', and takes {', '.join(sorted(RAW_OPTIONS))}, not {sorted(unknown)}"
            )
        params = {"version": target.version, "service": target.service} | ({"app": app} if app else {})
        said["params"] = params | dict(said.get("params") or {})
        if isinstance(said.get("auth"), tuple):
            said["auth"] = aiohttp.BasicAuth(*said["auth"])
        return str(method).upper(), self._base.join(URL(str(path))), said

    # ---- the surface -----------------------------------------------------------------------------------------------
    def _see(self, surface: Surface) -> None:
        self.surface = surface
        self._targets = [None if each is None else self._aim(each) for each in surface.endpoints]

    def _aim(self, endpoint: EndpointDescription) -> Target:
        url = URL(f"{self._base}/-/call/{endpoint.service}/{endpoint.name}@{endpoint.version}".replace("//-", "/-"))
        return Target(endpoint.path, url, endpoint.kind, endpoint.service, endpoint.version)

    def _target(self, index: int) -> Target | None:
        if index >= FIRST_RAW:
            return self._raw.get(index)
        return self._targets[index] if 0 <= index < len(self._targets) else None

    def _raw_index(self, wanted: EndpointDescription) -> int:
        versions = [
            each.version for each in self.surface.endpoints if each is not None and each.service == wanted.service
        ]
        if not self._is_foreign and not any(compatible(each, wanted.version or None) for each in versions):
            raise NotFound(
                f"{self.node_id} has no {wanted.service} at {wanted.version}; it has: {self._known()}",
                service=wanted.service, method=wanted.name, executed="not_sent", instance=self.node_id,
            )  # fmt: skip
        target = Target(wanted.path, self._base, Kind.HTTP, wanted.service, wanted.version)
        for index, known in self._raw.items():
            if known == target:
                return index
        index = FIRST_RAW + len(self._raw)
        self._raw[index] = target
        return index

    def _known(self) -> str:
        return (
            ", ".join(sorted({f"{each.path}@{each.version}" for each in self.surface.endpoints if each})) or "nothing"
        )

    def _refusal(self, call: Call) -> Fault:
        if self.retired.done():
            reason = self.retired.result()
            return reason or Fault(code="UNAVAILABLE", message="the channel was closed", executed="not_sent")
        text = f"there is no endpoint {call.endpoint} at {self.node_id}"
        return Fault(code="NOT_FOUND", message=text, executed="not_sent")

    async def _refresh(self) -> None:
        """The node exposes something else than when it was dialled."""
        try:
            found = await fetch(self._calls, self._base, self._prover, self.env.timing.dial)
            self._see(directory.surface_of(found))
        except CallError as error:
            self.env.log.info("the new surface of %s could not be read: %s", self.node_id, error)
        finally:
            self._refreshing = False


async def dial(address: Address, env: Environment, options: Options, deadline: float) -> HttpChannel:
    """A channel to the node at `address`. One that names the node (``http://HOST:PORT/NODE``) is that of a server that is no host: it is asked
    nothing. Raises errors.Unavailable (`not_sent`), errors.NotSupported, and errors.Unauthenticated or errors.PermissionDenied when one of
    the two is not let in by the other."""
    split = urlsplit(address.uri)
    if split.scheme not in ("http", "https") or not split.netloc:
        raise NotSupported(f"{address.uri!r} is no HTTP address: http://HOST:PORT")
    base = URL(f"{split.scheme}://{split.netloc}")
    remaining = min(deadline - env.clock.now(), env.timing.dial)
    check_scheme(base, env)
    if node_id := split.path.strip("/"):
        return HttpChannel(base, env, options, directory.foreign(node_id, env.namespace), is_foreign=True)
    async with session(env, base, limit=1) as opened:
        found = await fetch(opened, base, Prover(env), max(remaining, 0.001))
    if found.mesh != env.namespace:
        raise Unavailable(
            f"{address.uri} belongs to the mesh {found.mesh!r}, not {env.namespace!r}", executed="not_sent"
        )
    if found.protocol != directory.PROTOCOL:
        raise Unavailable(f"{address.uri} speaks protocol {found.protocol} of /-/surface", executed="not_sent")
    return HttpChannel(base, env, options, found)


def _codec(wanted: str, env: Environment, found: directory.Directory) -> str:
    """The serializer both have: the wanted one, else the other node's first. Raises Unavailable."""
    common = [name for name in found.serializers if name in env.serializers()]
    if not common:
        theirs, ours = ", ".join(found.serializers), ", ".join(env.serializers())
        raise Unavailable(f"{found.node_id} speaks {theirs}; this host {ours}", executed="not_sent")
    return wanted if wanted in common else common[0]
