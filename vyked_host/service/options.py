"""What ``.using(...)`` takes, of a method or an event, compared with what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_TAKES = "it takes timeout and hedge_after in seconds, the texts entity, idempotency_key and instance, metadata: texts by name, and priority"


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    """`clients.CallOptions`, and `priority`, which is looked at by itself."""

    timeout: float | None = None
    entity: str | None = None
    idempotency_key: str | None = None
    hedge_after: float | None = None
    metadata: dict[str, str] | None = None
    instance: str | None = None
    priority: Any = None


def refuse_what_is_none(path: str, given: Mapping[str, Any]) -> None:
    """Raises TypeError for what is no option of `path`: sent, the other end would take it for a breach of the protocol, and close the
    connection on all calls."""
    try:
        msgspec.convert(given, _Given)
    except msgspec.ValidationError as error:
        raise TypeError(f"{path}.using: {error}; {_TAKES}") from None


def refuse_no_texts(path: str, **given: Any) -> None:
    """Raises TypeError for a key or an id of an event that is no text: packed, nobody who hears the event could read it."""
    for option, value in given.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{path}.using: {option}={value!r} is no text; write {option}=str(...)")
