"""What comes before the first call to a node: connections, what it exposes, and proof at both ends that they belong together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from ...contracts import Environment, Fault
from ...errors import RULES, CallError, PermissionDenied, Unauthenticated, Unavailable
from ...wire.alerts import PLAIN, in_words
from . import directory
from .answers import error_item, read
from .connector import NetConnector
from .signature import IDENTITY, NODE, PROOF, Signer

LARGEST_SURFACE = 8 << 20
_CLOSED = "closed the connection right after the TLS handshake: certificate refused, unless it is stopping"


class Prover:
    """Says who this host is, in the headers of each request to other hosts."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.signer = None if env.trust.seal is None else Signer(env.trust.seal, env.namespace)
        claims = env.trust.claims
        self._claims = {IDENTITY: json.dumps(claims, separators=(",", ":"))} if claims else {}

    def headers(self, node: str, verb: str, url: URL, said: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        """Headers to send beside `said`; none without ``[security]``. `body` None: it is a stream."""
        if self.signer is None:
            return self._claims
        told = {**said, **self._claims}
        made = self.signer.sign(node, verb, url.raw_path_qs, told, body, self._env.clock.unix())
        return {**self._claims, **({NODE: node} if node else {}), PROOF: str(made)}


def check_scheme(url: URL, env: Environment) -> None:
    """A host with certificates does not talk to one without. Raises PermissionDenied, Unauthenticated."""
    if env.trust.encrypted and url.scheme != "https":
        raise PermissionDenied(
            f"{url} is not encrypted, and this host has [security.tls]: dial https", executed="not_sent"
        )
    if url.scheme == "https" and env.tls("client") is None:
        raise Unauthenticated(f"{url} speaks TLS, and this host does not: set [security.tls]", executed="not_sent")


async def fetch(session: aiohttp.ClientSession, base: URL, prover: Prover, within_s: float) -> directory.Directory:
    """The directory of the node at `base`. Raises Unavailable, Unauthenticated or PermissionDenied (`not_sent`: nobody's call
    was in it)."""
    url = base / "-" / "surface"
    said = prover.headers("", "GET", url, {}, b"")
    try:
        async with asyncio.timeout(within_s), session.get(url, allow_redirects=False, headers=said) as answer:
            body = await read(answer, LARGEST_SURFACE)
            if answer.status != 200:
                raise _refused(base, answer.status, error_item(body))
            found = directory.decode(body)
            if prover.signer is not None and not _proven(prover.signer, said[PROOF], answer, found.node_id, body):
                text = f"{base} does not know the secret of this mesh: set [security] secret alike in both"
                raise Unauthenticated(text, executed="not_sent")
            return found
    except TimeoutError:
        raise Unavailable(f"{base} did not tell its surface within {within_s:.3g} s", executed="not_sent") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _unreachable(base, error) from error


def _proven(signer: Signer, asked: str, answer: aiohttp.ClientResponse, node: str, body: bytes) -> bool:
    nonce = asked.partition(";n=")[2].partition(";")[0]
    return signer.answered(answer.headers.get(PROOF, ""), nonce, node, body)


def _refused(base: URL, status: int, fault: Fault | None) -> CallError:
    if fault is not None and fault.code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return RULES[fault.code].error(f"{base} refused this host: {fault.message}", executed="not_sent")
    return Unavailable(f"{base} answered {status}: it takes no calls", executed="not_sent")


def _unreachable(base: URL, error: Exception) -> CallError:
    words = in_words(error)
    if words and words != PLAIN:
        return Unauthenticated(f"{base}: {words}", executed="not_sent")
    if base.scheme == "https" and isinstance(error, aiohttp.ServerDisconnectedError):
        return Unavailable(f"{base} {_CLOSED}", executed="not_sent")
    return Unavailable(f"{base} can't be reached: {error}", executed="not_sent")


def session(env: Environment, base: URL, *, limit: int) -> aiohttp.ClientSession:
    """Connections to one node."""

    def tls() -> Any:
        return env.tls("client") if base.scheme == "https" else None

    connector = NetConnector(
        env.net, f"tcp://{base.raw_authority}", tls, env.trust, dial_s=env.timing.dial, limit=limit
    )
    watch = aiohttp.TraceConfig()
    watch.on_request_headers_sent.append(_sent)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trace_configs=[watch],
    )


async def _sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    """From here on the other side may have seen the request."""
    outgoing = context.trace_request_ctx
    if outgoing is not None:
        outgoing.sent = True
