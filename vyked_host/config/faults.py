"""Every fault of one table against its Struct.

msgspec decides whether data is right, but stops at the first fault and forgets the names of dict keys. So once it said no,
the JSON Schema of the same Struct tells all faults with full paths; what only msgspec can see (a ``__post_init__``) is told in its
own words. jsonschema is imported here only, late: a healthy file does not need it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any, NamedTuple

import msgspec

from .expectation import Schema, expected, literal, resolved
from .findings import At
from .paths import Path
from .suggest import did_you_mean, join, listing


class Found(NamedTuple):
    """One fault inside a table; `path` starts at the table. `missing`: a key that is not there."""

    path: Path
    message: str
    remedy: str = ""
    at: At = "value"
    missing: bool = False


def of(struct: Any, data: Any, error: Exception) -> list[Found]:
    """All faults of `data`, which msgspec refused with `error`."""
    try:
        schema = msgspec.json.schema(struct)
    except TypeError:  # a type that has no schema: the first fault is all there is
        return [_own_words(error)]
    definitions = schema.get("$defs", {})
    found = [fault for one in _errors(schema, data) for fault in _translated(one, definitions)]
    return list(dict.fromkeys(found)) or [_own_words(error)]


def _errors(schema: Schema, data: Any) -> Iterable[Any]:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # 8000.0 is an integer for JSON Schema, and none for msgspec
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    validator: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"type": _type_of(Draft202012Validator)}, type_checker=checker
    )
    return sorted(validator(schema).iter_errors(data), key=lambda one: list(map(str, one.absolute_path)))


def _type_of(base: Any) -> Any:
    """The check of types; what TOML reads as a date is a string with a format in JSON Schema."""
    from jsonschema import ValidationError

    def check(validator: Any, types: Any, value: Any, schema: Schema) -> Iterator[Any]:
        if not isinstance(value, (date, time)):
            yield from base.VALIDATORS["type"](validator, types, value, schema)
        elif _DATES.get(schema.get("format", "")) is not type(value):
            yield ValidationError("a date is not expected here")

    return check


_DATES = {"date-time": datetime, "date": date, "time": time}


def _translated(error: Any, definitions: Schema) -> list[Found]:
    """One error of jsonschema in our words."""
    path: Path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        return [_unknown((*path, key), key, error.schema) for key in _extra(error.instance, error.schema)]
    if error.validator == "required":
        return [_missing(path, error, definitions)]
    if error.validator == "anyOf":
        inner = _nearest_branch(error)
        if inner:
            return [fault for one in inner for fault in _translated(one, definitions)]
    wanted = expected(error.schema, definitions)
    return [
        Found(
            path,
            f"expected {wanted}, got {literal(error.instance)}",
            _nearby(error.instance, error.schema, definitions),
        )
    ]


def _extra(instance: Mapping[str, Any], schema: Schema) -> list[str]:
    return [key for key in instance if key not in schema.get("properties", {})]


def _unknown(path: Path, key: str, schema: Schema) -> Found:
    known = schema.get("properties", {})
    return Found(path, "unknown key", unknown_remedy(key, known), at="key")


def unknown_remedy(key: str, known: Iterable[str]) -> str:
    """What to say to a key that nobody knows."""
    names = list(known)
    return join(did_you_mean(key, names), f"known: {listing(names)}" if names else "nothing can be set here")


def _missing(path: Path, error: Any, definitions: Schema) -> Found:
    key = next(key for key in error.validator_value if key not in error.instance and f"'{key}'" in error.message)
    wanted = expected(error.schema["properties"][key], definitions)
    return Found((*path, key), f"is missing, expected {wanted}", at="key", missing=True)


def _nearest_branch(error: Any) -> list[Any]:
    """Of a union, the errors of the one member whose type the value has, when its fault lies deeper."""
    branches: dict[int, list[Any]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    deep = [found for found in branches.values() if not any(one.validator == "type" and not one.path for one in found)]
    structured = isinstance(error.instance, (dict, list))
    return deep[0] if len(deep) == 1 and structured else []


def _nearby(value: Any, schema: Schema, definitions: Schema) -> str:
    """Did you mean one of the words that are allowed here?"""
    schema = resolved(schema, definitions)
    words = [
        word for branch in (schema, *schema.get("anyOf", ())) for word in resolved(branch, definitions).get("enum", ())
    ]
    texts = [word for word in words if isinstance(word, str)]
    return did_you_mean(value, texts) if isinstance(value, str) else ""


_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")


def _own_words(error: Exception) -> Found:
    """msgspec's message, with the path it names as far as it can be read."""
    words = str(error)
    place = _PLACE.search(words)
    path: list[str | int] = []
    for step in _STEP.finditer(place[1] if place else ""):
        if step[0] == "[...]":
            break
        path.append(int(step[2]) if step[2] else step[1])
    message = " ".join(words[: place.start()].split()) if place else " ".join(words.split())
    return Found(tuple(path), message.replace("`", "'") or "does not fit")


def not_finite(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of ``nan`` and ``inf``: no setting of the host can be either."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from not_finite(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from not_finite(inner, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path
