"""The ancestor's log decorators and setup_logging."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vyked_host.service.classic.log import log, logx, setup_logging


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield root
    root.handlers[:], root.level = before, level


async def test_a_logged_function_is_awaited_and_says_what_it_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    class Some:
        @log
        def double(self, number: int) -> int:
            return 2 * number

        @log(debug_level=logging.INFO)
        async def fail(self) -> None:
            raise ValueError("no")

        @logx(supress_args=["secret"], supress_result=True)
        def keep(self, secret: str, name: str):
            yield from asyncio.sleep(0).__await__()
            return secret

        @logx(supress_all_args=True)
        def quiet(self, secret: str) -> None: ...

    assert await Some().double(2) == 4
    with pytest.raises(ValueError, match="no"):
        await Some().fail()
    assert await Some().keep("s3cret", name="ada") == "s3cret"
    await Some().quiet("s3cret")
    assert caplog.messages == [
        "Calling double(number=2)", "Return double with result: 4", "Calling fail()", "fail raised ValueError('no')",
        "Calling keep(name='ada')", "Return quiet with result: None",
    ]  # fmt: skip


def test_39_each_line_comes_once(root: logging.Logger, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    root.handlers[:] = []  # pytest's own, put there since the fixture ran
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    setup_logging("service")
    setup_logging("service")
    logging.getLogger("some").info("once")
    assert out.getvalue().count("once") == 1


def test_a_file_decides_and_a_broken_one_is_an_error(root: logging.Logger, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config_log.json"
    file.write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR"}}))
    setup_logging()
    assert root.level == logging.ERROR
    file.write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        setup_logging()
