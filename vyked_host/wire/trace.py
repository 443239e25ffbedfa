"""What of a call's metadata goes on by itself to the calls and events it causes: the W3C trace context and baggage, nothing else.
Pairs of other names are between a caller and who it calls: a token for one service is not for the services behind it.

The host is no tracer. It opens no spans, so it passes `traceparent` on unchanged, as the specification has it for who does not
take part (https://www.w3.org/TR/trace-context/#a-traceparent-is-received); a tracer that opens one gives the calls made in it a
`traceparent` of their own, which counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TRACEPARENT, TRACESTATE, BAGGAGE = "traceparent", "tracestate", "baggage"
TRACE = (TRACEPARENT, TRACESTATE, BAGGAGE)
LONGEST = 8192
"""Characters of `tracestate` or `baggage` that are passed on at most: what W3C Baggage asks of everybody
(https://www.w3.org/TR/baggage/#limits)."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?")


def is_traceparent(text: str) -> bool:
    """Is it one? https://www.w3.org/TR/trace-context/#traceparent-header; of versions to come what is known is looked at."""
    found = _TRACEPARENT.fullmatch(text)
    return found is not None and (found[1] is None or not text.startswith("00"))


def inherited(metadata: Mapping[str, str]) -> dict[str, str]:
    """What goes on of `metadata`. Without a valid `traceparent` there is no trace, so `tracestate` goes with it."""
    found: dict[str, str] = {}
    parent = metadata.get(TRACEPARENT)
    if parent is not None and is_traceparent(parent):
        found[TRACEPARENT] = parent
        _keep(found, metadata, TRACESTATE)
    _keep(found, metadata, BAGGAGE)
    return found


def joined(outer: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """`own` metadata of a call, and what it inherits from `outer`. A trace of its own leaves nothing of the outer one."""
    if TRACEPARENT in own:
        outer = {name: value for name, value in outer.items() if name == BAGGAGE}
    return {**outer, **own}


def _keep(found: dict[str, str], metadata: Mapping[str, str], name: str) -> None:
    value = metadata.get(name)
    if value and len(value) <= LONGEST:
        found[name] = value
