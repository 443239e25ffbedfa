"""A JSON Schema in words: "an integer from 1 to 65535", ``"auto", "pretty" or "json"``. Used where a value is wrong, and to
explain a key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

from .paths import quoted
from .secrecy import without_passwords
from .shape import UNIT

Schema = Mapping[str, Any]

_NOUNS = {
    "integer": "an integer", "number": "a number", "string": "a string", "boolean": "true or false", "array": "a list",
    "object": "a table", "null": "nothing",
}  # fmt: skip
_FORMATS = {
    "date-time": "a date with time",
    "date": "a date",
    "time": "a time",
    "duration": "a duration",
    "uuid": "a UUID",
}
_LONGEST = 60


def resolved(schema: Schema, definitions: Schema) -> Schema:
    """`schema` with its reference followed."""
    while "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**definitions.get(schema["$ref"].rpartition("/")[2], {}), **rest}
    return schema


def expected(schema: Schema, definitions: Schema) -> str:
    """What `schema` wants, as the object of "expected ..."."""
    schema = resolved(schema, definitions)
    if "anyOf" in schema:
        return _either([expected(branch, definitions) for branch in schema["anyOf"] if branch.get("type") != "null"])
    if "enum" in schema:
        return _either([literal(value) for value in schema["enum"] if value is not None])
    if "const" in schema:
        return literal(schema["const"])
    if schema.get("title") == "Choice":
        return 'a name or { use = "name", ... }'
    kind = schema.get("type")
    if schema.get(UNIT) == "bytes":
        return 'a size such as 65536 or "64KiB"' + (_bounds(schema) if schema.get("minimum", 1) != 1 else "")
    if kind == "array" and "items" in schema:
        return f"a list of {_plural(schema['items'], definitions)}" + _bounds(schema)
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    return _NOUNS.get(str(kind), "a value") + _bounds(schema)


def _plural(items: Any, definitions: Schema) -> str:
    if not isinstance(items, Mapping):
        return "values"
    one = expected(items, definitions)
    for article in ("an ", "a "):
        if one.startswith(article) and " " not in one[len(article) :]:
            return one[len(article) :] + "s"
    return one


def _either(choices: Iterable[str]) -> str:
    found = list(dict.fromkeys(choices))
    return " or ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if schema.get("minLength") == 1 and schema.keys().isdisjoint({"maxLength", "pattern"}):
        return " that is not empty"
    words = [f" {sign} {schema[key]}" for key, sign in _COMPARISONS if key in schema]
    words += [f" {words_} {schema[key]}" for key, words_ in _LENGTHS if key in schema]
    if schema.get("pattern"):
        words.append(f" like `{schema['pattern']}`" if "description" not in schema else f" ({schema['description']})")
    return " and".join(words)


_COMPARISONS = (("minimum", "≥"), ("exclusiveMinimum", "above"), ("maximum", "≤"), ("exclusiveMaximum", "below"), ("multipleOf", "in steps of"))  # fmt: skip
_LENGTHS = (
    ("minLength", "of a length ≥"), ("maxLength", "of a length ≤"), ("minItems", "of a length ≥"),
    ("maxItems", "of a length ≤"), ("minProperties", "with a number of keys ≥"), ("maxProperties", "with a number of keys ≤"),
)  # fmt: skip


def literal(value: Any, longest: int = _LONGEST) -> str:
    """`value` as a person would write it in the file, cut after `longest` characters; an address without its password."""
    if isinstance(value, str):
        text = quoted(without_passwords(value))
    elif isinstance(value, dict):
        text = "a table" if value else "an empty table"
    elif isinstance(value, (date, datetime, time)):
        text = value.isoformat()
    elif isinstance(value, (list, tuple, set, frozenset)):
        text = f"[{', '.join(map(literal, value))}]"
    elif isinstance(value, float):
        text = repr(value)
    else:
        text = json.dumps(value) if isinstance(value, (bool, int)) and abs(value) < 1 << 200 else "a huge number"
    return text if len(text) <= longest else text[: longest - 1] + "…"
