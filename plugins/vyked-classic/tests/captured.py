"""The bytes that the last development version of Vyked 2.x sent, from `capture.txt`."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

LINE = re.compile(r"^\s*([\d.]+)\s+(\S+?)(?:\(\d+\))? -> (\S+?)(?:\(\d+\))?\s+\d+ bytes: (b['\"].*)$")
SILENT = re.compile(r"^([\d.]+) (b['\"].*)$")


class Segment(NamedTuple):
    at: float
    sender: str
    receiver: str
    data: bytes


@cache
def segments() -> tuple[Segment, ...]:
    """Those of the old wire, Redis left out."""
    found = []
    for line in Path(__file__).with_name("capture.txt").read_text().splitlines():
        if match := LINE.match(line):
            at, sender, receiver, data = match.groups()
            found.append(Segment(float(at), sender, receiver, ast.literal_eval(data)))
    assert len(found) > 150
    return tuple(each for each in found if "REDIS" not in (each.sender, each.receiver))


@cache
def silent() -> tuple[bytes, ...]:
    """Part 2: what a service says to a registry that does not answer its pings."""
    text = Path(__file__).with_name("capture.txt").read_text().partition("==== PART 2")[2]
    found = [ast.literal_eval(match.group(2)) for line in text.splitlines() if (match := SILENT.match(line))]
    assert len(found) > 10
    return tuple(found)


def streams() -> dict[tuple[str, str], bytes]:
    """All that each sender said to each receiver."""
    found: dict[tuple[str, str], bytes] = {}
    for each in segments():
        key = (each.sender, each.receiver)
        found[key] = found.get(key, b"") + each.data
    return found
