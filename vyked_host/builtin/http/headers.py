"""What of a call travels in headers, both ways, so that server and client can't drift apart.

``Vyked-Timeout-Ms Vyked-Priority Vyked-Entity Vyked-Attempt Vyked-Caller Vyked-Metadata Idempotency-Key traceparent tracestate baggage``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec

from ...contracts import Call
from ...routing.priority import PRIORITY, RANKS
from ...wire.metadata import pack, unpack
from ...wire.trace import TRACE
from .exposed import LONGEST_S
from .refusal import Refused

TIMEOUT, ENTITY, ATTEMPT = "Vyked-Timeout-Ms", "Vyked-Entity", "Vyked-Attempt"
PRIORITY_SAID = "Vyked-Priority"
CALLER, METADATA, IDEMPOTENCY = "Vyked-Caller", "Vyked-Metadata", "Idempotency-Key"
REVISION, DRAINING, SERIALIZER = "Vyked-Surface", "Vyked-Draining", "Vyked-Serializer"

BEGINNINGS = frozenset(b"VvIiTtBb")
"""What names of these headers begin with. A request without such a header says none of them: nearly all that browsers send."""
NOTHING: Mapping[str, str] = {}

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"\Z')
_ESCAPED = re.compile(r"\\(.)")
_CALLER = re.compile(r"[a-z][a-z0-9_-]{0,63}/[0-9A-Za-z.+-]{1,64}\Z")
_pairs = msgspec.json.Decoder(dict[str, str]).decode


def timeout_s(headers: Mapping[str, str], otherwise: float) -> float:
    """Seconds the call may take: what the caller says, else `otherwise`."""
    text = headers.get(TIMEOUT)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise Refused("INVALID_ARGUMENT", f"{TIMEOUT}: {text[:40]!r} is no number of milliseconds above 0")
    return min(int(text) / 1000, LONGEST_S)


def metadata(headers: Mapping[str, str]) -> bytes | None:
    """Trace headers, the caller's own pairs and the priority, packed. Raises Refused (400) for metadata that is none."""
    found = {name: headers[name] for name in TRACE if name in headers}
    text = headers.get(METADATA)
    if text is not None:
        try:
            found = _pairs(text) | found
        except (ValueError, RecursionError):
            raise Refused("INVALID_ARGUMENT", f"{METADATA} has to be a JSON object of strings") from None
    if (priority := headers.get(PRIORITY_SAID)) is not None:
        if priority not in RANKS:
            raise Refused("INVALID_ARGUMENT", f"{PRIORITY_SAID}: {priority[:40]!r} is none of {', '.join(RANKS)}")
        found[PRIORITY] = priority
    return pack(found)


def attempt(headers: Mapping[str, str]) -> int:
    """Which attempt this is, from 1; anything odd counts as the first."""
    text = headers.get(ATTEMPT, "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 1


def entity(headers: Mapping[str, str]) -> str | None:
    """The routing key; it travels percent-encoded."""
    text = headers.get(ENTITY)
    return unquote(text) if text is not None else None


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The caller's key: as it stands, or between quotes as draft-ietf-httpapi-idempotency-key-header has it (RFC 9651, 3.3.3)."""
    text = headers.get(IDEMPOTENCY)
    if text is None or (quoted := _QUOTED.match(text)) is None:
        return text
    return _ESCAPED.sub(r"\1", quoted[1])


def caller(headers: Mapping[str, str]) -> str:
    """``service/version`` of who calls, as it says itself; empty unless it looks like one."""
    text = headers.get(CALLER, "")
    return text if _CALLER.match(text) else ""


def of_call(call: Call, remaining_s: float) -> dict[str, str]:
    """The headers that carry `call`, with `remaining_s` left of its time. Nothing in them can break a header line."""
    found = {TIMEOUT: str(max(1, int(remaining_s * 1000)))}
    if call.entity is not None:
        found[ENTITY] = quote(call.entity, safe="")
    if call.idempotency_key is not None:
        key = call.idempotency_key
        found[IDEMPOTENCY] = key if _PRINTABLE.match(key) else quote(key, safe="")
    if call.attempt != 1:
        found[ATTEMPT] = str(call.attempt)
    if call.caller:
        found[CALLER] = call.caller
    return found | _metadata(call.metadata)


def _metadata(packed: bytes | None) -> dict[str, str]:
    pairs = unpack(packed)
    found = {name: pairs.pop(name) for name in TRACE if _PRINTABLE.match(pairs.get(name, ""))}
    if pairs:
        found[METADATA] = json.dumps(pairs, separators=(",", ":"))
    return found
