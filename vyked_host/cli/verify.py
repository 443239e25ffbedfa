"""``vyked-host plugins verify``: the conformance kit on an installed plugin, in a process of its own, and the matrix of what it found.

The kit is not imported here: a host without the extra ``testing`` says what to install.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from ..errors import StartError, UsageError
from ..loading import SERVICE, Entry
from .printing import print_json, print_table

KIT = "vyked_host.testing.verifying"
WANTED = ("pytest", "pytest_asyncio", "hypothesis")
SHOWN = 20
"""Failures that are printed; all of them are in ``-o json``."""


def settings_of(pairs: Iterable[str]) -> dict[str, Any]:
    """``--set KEY=VALUE``: the value as TOML has it, else the text itself. Raises UsageError."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {pair}: write --set KEY=VALUE, with a KEY of the plugin's options")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found


def verified(entries: Sequence[Entry], settings: Mapping[str, Any], verbose: bool) -> list[dict[str, Any]]:
    """What the kit found, per entry. Raises StartError when the kit or a plugin can't be used."""
    missing = [name.replace("_", "-") for name in WANTED if find_spec(name) is None]
    if missing:
        raise StartError(f"the kit needs {', '.join(missing)}: pip install 'vyked-host[testing]'")
    meant, seen, found = [entry for entry in entries if entry.kind != SERVICE], set[str](), []
    if not meant:
        raise UsageError(
            f"{entries[0].name!r} is a service: the kit is for plugins; test it with vyked_host.testing.running"
        )
    for entry in meant:
        if not entry.usable:
            raise StartError(f"{entry.path} of {entry.plugin} is {entry.state}: {entry.reason}")
        plan = {"path": entry.path, "dist": entry.dist, "settings": settings, "packaging": entry.dist not in seen}
        seen.add(entry.dist)
        told = {"plugin": entry.path, "distribution": entry.dist, "version": entry.version}
        found.append(told | _run(entry, plan, verbose))
    return found


def _run(entry: Entry, plan: Mapping[str, Any], verbose: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder, "plan.json"), Path(folder, "result.json")
        given.write_text(json.dumps(plan), encoding="utf-8")
        command = [sys.executable, "-m", KIT, str(given), str(result)]
        to = None if verbose else subprocess.PIPE
        done = subprocess.run(command, stdout=to, stderr=to, text=True, check=False)  # noqa: S603 - this interpreter
        if not result.exists():
            said = "" if verbose else f": {done.stderr.strip() or done.stdout.strip()}"
            raise StartError(f"the kit did not get to its end with {entry.path} (exit {done.returncode}){said}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if found["trouble"]:
        raise StartError(found["trouble"])
    return found


def has_failed(found: Iterable[Mapping[str, Any]]) -> bool:
    """Is there a plugin with a case that failed?"""
    return any(row["verdict"] == "failed" for each in found for row in each["rows"])


def show(found: Sequence[Mapping[str, Any]], output: str | None) -> None:
    """Print the matrix of each."""
    if output == "json":
        print_json(found)
        return
    for at, each in enumerate(found):
        click.echo("\n" * bool(at) + f"{each['plugin']}, {each['distribution']} {each['version']}\n")
        print_table(("GUARANTEE", "VERDICT", "CASES", "WHAT WAS ASSERTED"), map(_row, each["rows"]))
        _failures([case for case in each["cases"] if case["verdict"] == "failed"])
        click.echo(f"\n{_sum(each)}")


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["failed"] or row["known"]:
        counts = (f"{row[name]} {name}" for name in ("passed", "known", "failed") if row[name])
        cases = ", ".join(counts)
    else:
        cases = str(row["passed"] or "")
    return row["guarantee"], row["verdict"], cases, "; ".join(filter(None, (row["claim"], row["note"])))


def _failures(failed: Sequence[Mapping[str, Any]]) -> None:
    for case in failed[:SHOWN]:
        why = case["why"].strip().partition("\n")[0]
        click.echo(f"\nfailed: {case['name']}\n  {why}" + (f"\n  {case['where']}" if case["where"] else ""))
    if len(failed) > SHOWN:
        click.echo(f"\nand {len(failed) - SHOWN} more: -o json has them all")


def _sum(found: Mapping[str, Any]) -> str:
    verdicts = [case["verdict"] for case in found["cases"]]
    order = ("passed", "failed", "known failure", "not declared", "newer", "left out")
    counts = (f"{verdicts.count(verdict)} {verdict}" for verdict in order if verdict in verdicts)
    return f"{', '.join(counts)}; {found['took_s']:.1f} s"
