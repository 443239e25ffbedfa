"""What stands in a line of the log, whoever said it."""

from __future__ import annotations

import io
import json
import logging

import pytest

from vyked_host.assembly.logs import LINE_BYTES, JsonLines, Pretty

STEERING = "\x00\x07\x1b[31m\r\x7f\x9b31m\u2028\u202e\ud800"


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("vyked.shop", logging.INFO, __file__, 1, message, args, info)


def test_words_for_people_show_what_would_steer_a_terminal() -> None:
    line = Pretty().format(record("said %s", STEERING))
    assert line.endswith("said \\x00\\x07\\x1b[31m\\x0d\\x7f\\x9b31m\\u2028\\u202e\\ud800")


@pytest.mark.parametrize("where", ["message", "error"])
def test_no_line_of_a_peer_looks_like_one_of_the_host(where: str) -> None:
    forged = "x\n12:00:00 ERROR   vyked        forged"
    said = record("%s", forged) if where == "message" else record("failed", error=RuntimeError(forged))
    _, *others = Pretty().format(said).splitlines()
    assert others
    assert all(line.startswith("  ") for line in others)


def test_a_line_for_programs_is_one_line_and_says_the_same_again() -> None:
    line = JsonLines().format(record("said %s", "x\n" + STEERING))
    assert line.splitlines() == [line]
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in line)
    assert json.loads(line)["message"] == "said x\n" + STEERING


@pytest.mark.parametrize("formatter", [Pretty(), JsonLines()], ids=["pretty", "json"])
def test_every_line_can_be_written_as_utf_8_and_has_an_end(formatter: logging.Formatter) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stream.write(formatter.format(record("\udcff" + "ä" * 100_000)))
    assert len(stream.buffer.getvalue() if isinstance(stream.buffer, io.BytesIO) else b"") < 3 * LINE_BYTES
