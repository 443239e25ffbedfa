"""Signatures of methods, as their callers see them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..model.description import EndpointDescription
from .annotations import type_name


def misfit(endpoint: EndpointDescription, error: TypeError) -> TypeError:
    """`error`, said in terms of the method's signature."""
    return TypeError(f"{error}; the method is {endpoint.path}{signature(endpoint)}")


def signature(endpoint: EndpointDescription) -> str:
    """``(user_name: str, shout: bool = False)``: the signature as callers see it."""
    shown = [
        f"{each.name}: {type_name(each.type)}" + ("" if each.required else f" = {_default(each)!r}")
        for each in msgspec.structs.fields(endpoint.arguments)
    ]
    if endpoint.kind.streams_in:
        shown.insert(min(max(endpoint.stream_position, 0), len(shown)), f"{endpoint.stream_parameter}: AsyncIterator")
    return f"({', '.join(shown)})"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def takes_positions(shape: Any) -> bool:
    """Can all arguments be given by position? `shape`: of the arguments; that of a method that is known by name only is no Struct."""
    if not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
        return False
    return shape.__match_args__ == shape.__struct_fields__
