"""``python -m vyked_host.testing.verifying PLAN RESULT``: the process that `vyked-host plugins verify` starts. PLAN is the path of a
`Plan` as JSON, RESULT that of the `Result` to write; pytest's own words go to stdout."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest
from pytest_asyncio import plugin as asyncio_plugin

from ...errors import VykedError
from . import matrix, plan, verdicts

WARNINGS = "\n".join(
    f"error::{each}" for each in (
        "ResourceWarning", "RuntimeWarning", "pytest.PytestUnraisableExceptionWarning",
        "pytest.PytestUnhandledThreadExceptionWarning",
    )
)  # fmt: skip
"""What tells of something that is left open, never awaited or lost: such a case has failed."""


class Result(msgspec.Struct):
    """`trouble`: why there was nothing to run, or nothing to collect; empty otherwise."""

    cases: list[verdicts.Case] = []
    rows: list[matrix.Row] = []
    trouble: str = ""
    took_s: float = 0.0


def run(chosen: plan.Plan) -> Result:
    """Run the kit on what is chosen, undisturbed by settings of the folder we are in and by other plugins of pytest."""
    plan.choose(chosen)
    try:
        if not plan.namespace():
            note = "there is no suite for its kind; of its distribution the packaging is looked at"
            return Result(rows=[matrix.Row(matrix.CONTRACT, "left out", note=note)])
        asyncio.run(plan.greet())
    except VykedError as error:
        return Result(trouble=str(error))
    noted, began = verdicts.Verdicts(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "--pyargs", f"{__package__}.chosen", "-c", os.devnull, "--rootdir", folder, "-p", "no:cacheprovider",
            "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function", "-o", f"filterwarnings={WARNINGS}",
            "-q",
        ]  # fmt: skip
        try:
            pytest.main(words, plugins=[noted, asyncio_plugin])
        except Exception as error:  # noqa: BLE001 - pytest raises at its end what it finds left open then: a case that nobody is named for
            noted.left_open(error)
    cases = list(noted.cases.values())
    rows = matrix.matrix(cases, noted.refused, chosen.path.partition(".")[0])
    return Result(cases, rows, "\n".join(noted.trouble), time.monotonic() - began)


if __name__ == "__main__":
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    given, result = map(Path, sys.argv[1:])
    told = run(msgspec.json.decode(given.read_bytes(), type=plan.Plan))
    result.write_bytes(msgspec.json.encode(told))
