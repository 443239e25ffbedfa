"""One target under atheris, in a process of its own: python -m tests.fuzz.worker TARGET FOLDER SECONDS. What is to be watched has to be
imported by atheris, so nothing of it stands at the top."""

from __future__ import annotations

import sys

import atheris

LARGEST = 4096
"""Bytes of an input."""


def main(name: str, folder: str, seconds: str) -> None:
    """Fuzz until the time is over; what reaches something new goes to `folder`. libFuzzer ends the process."""
    with atheris.instrument_imports(include=["vyked_host.wire", "vyked_host.model"]):
        from .targets import TARGETS
    words = [
        sys.argv[0],
        folder,
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST}",
        "-verbosity=0",
        "-artifact_prefix=fuzz-",
    ]
    atheris.Setup(words, TARGETS[name])
    atheris.Fuzz()


main(*sys.argv[1:])
