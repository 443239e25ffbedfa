"""What ``balancer = { use = "zone", ... }`` may say."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`label` is the label whose value is the zone; `own` is this host's zone, by default its own label."""

    label: Annotated[str, Meta(min_length=1, description="the label that holds the zone")] = "zone"
    own: Annotated[str, Meta(description="this host's zone; default: the label in [host] labels")] = ""
