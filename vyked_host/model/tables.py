"""The base of the tables of vyked.toml, and the tables inside ``[clients.NAME]``: what a client does about calls that fail."""

from __future__ import annotations

from typing import Annotated, dataclass_transform

import msgspec
from msgspec import Meta

Name = Annotated[
    str, Meta(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$", description="a name: letters, digits, '_' and '-'")
]
Seconds = Annotated[float, Meta(ge=0, description="seconds")]
Positive = Annotated[float, Meta(gt=0, description="seconds, above 0")]
Count = Annotated[int, Meta(ge=1)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables: a key that is not a field is an error."""


class RetryTable(Table):
    """How often a call that failed is made again: docs/semantics.md says when it may be."""

    attempts: Annotated[int, Meta(ge=1, le=5, description="of one call, the first included; 1: never again")] = 3
    backoff: Annotated[
        Positive, Meta(description="before the second try of the same instance; twice as long each time, ±20 %")
    ] = 0.05
    most: Annotated[Positive, Meta(description="the longest pause between two attempts")] = 1.0
    budget: Annotated[
        float,
        Meta(ge=0, le=1, description="attempts beyond the first, over 10 s, as a share of the calls of that time"),
    ] = 0.2
    per_second: Annotated[float, Meta(ge=0, description="so many attempts a second on top of that share")] = 3.0


class BreakerTable(Table):
    """``[clients.NAME.breaker]``: when the calls of a method are no longer made, for a while. One for each method and calling
    service."""

    failures: Annotated[float, Meta(gt=0, le=1, description="share of the calls that has to fail")] = 0.5
    of: Annotated[Count, Meta(description="so many calls at least, within `within`")] = 20
    open_for: Annotated[Positive, Meta(description="until one call is let through, which decides")] = 10.0
    within: Annotated[Positive, Meta(description="what is older does not count")] = 60.0


class BulkheadTable(Table):
    """``[clients.NAME.bulkhead]``: how many calls one calling service may have at NAME at once."""

    in_flight: Annotated[Count, Meta(description="calls that run at once")]
    pending: Annotated[int, Meta(ge=0, description="calls that wait for one of them to end; more are refused")] = 100


class RateTable(Table):
    """``[clients.NAME.rate]``: how many calls one calling service may begin; more are refused."""

    per_second: Annotated[float, Meta(gt=0, description="calls a second, on average")]
    burst: Annotated[Count | None, Meta(description="calls at once after a quiet time; default: those of a second")] = (
        None
    )
