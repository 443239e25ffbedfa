"""``k=v k:=json``: arguments of a call as a person types them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UsageError

_PART = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<how>:=@|=@|:=|=)(?P<value>.*)", re.DOTALL)


def arguments(words: Iterable[str]) -> dict[str, Any]:
    """The arguments by name. ``name=text``, ``name:=json``, ``name=@file`` (its text), ``name:=@file`` (its JSON), or one
    JSON object with all of them. Raises UsageError saying which word is wrong."""
    found: dict[str, Any] = {}
    for word in words:
        named = _object(word) if word.lstrip().startswith("{") else _one(word)
        if twice := found.keys() & named.keys():
            raise UsageError(f"{', '.join(sorted(twice))} is given twice")
        found |= named
    return found


def text_hint(words: Iterable[str], field: str) -> str:
    """What to type where `field` of a call was given as text and is something else, which is what people type most often; empty where
    it was given as JSON."""
    typed = [_PART.fullmatch(word) for word in words]
    if any(match and match["name"] == field and not match["how"].startswith(":") for match in typed):
        return f"; {field}=... is text, JSON is given as {field}:=..."
    return ""


def _one(word: str) -> dict[str, Any]:
    match = _PART.fullmatch(word)
    if match is None:
        raise UsageError(f"{word!r} is no argument: write name=text, or name:=json for numbers, lists, true and null")
    name, how, value = match["name"], match["how"], match["value"]
    text = _read(name, value) if how.endswith("@") else value
    return {name: _json(name, text) if how.startswith(":") else text}


def _object(word: str) -> dict[str, Any]:
    value = _json("the argument", word)
    assert isinstance(value, dict)  # it begins with a brace
    return value


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name}: {text!r} is no JSON ({error}); text is given as {name}={text}") from error


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: {path} can't be read: {error}") from error
