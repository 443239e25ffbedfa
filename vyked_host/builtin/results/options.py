"""Options of the two stores. A day is what Stripe keeps keys for (https://docs.stripe.com/api/idempotent_requests)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MIB = 1 << 20
DAY_S = 86_400.0

Keep = Annotated[float, Meta(gt=0, description="seconds for which a result is given again under its key")]


class MemoryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[results.memory]``."""

    keep: Keep = DAY_S
    keys: Annotated[int, Meta(ge=1, description="keys that are known at once; full: the result kept first goes")] = (
        10_000
    )
    memory: Annotated[
        int, Meta(ge=MIB, description="bytes of results that are kept; full: the one kept first goes")
    ] = 16 * MIB


class FileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[results.sqlite]``."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="file of results, relative to vyked.toml; several hosts of one machine may share it",
        ),
    ] = ".vyked/results.db"
    keep: Keep = DAY_S
    keys: Annotated[int, Meta(ge=1, description="keys that are known at once; full: the result kept first goes")] = (
        1_000_000
    )
