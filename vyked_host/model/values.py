"""The base of every frozen value: a msgspec Struct, so that one declaration serves typing, validation and coding."""

from __future__ import annotations

from typing import dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all frozen values: keyword arguments only, compared by content."""
