"""``vyked-host doctor``: what would be in the way of a host here, before one is started."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from typing import Literal

import click

from .. import loading
from ..assembly.prepare import find, prepare
from ..config import Loaded
from ..errors import EXIT_FAILED, EXIT_OK
from ..model.values import Value
from .client import PORTS
from .machine import ENOUGH_FILES, loop, open_files, python, versions
from .printing import output_option, print_json

State = Literal["ok", "note", "fault"]


class Finding(Value):
    """One thing that was looked at: `state` "note" is worth knowing, "fault" keeps a host from working."""

    what: str
    state: State
    text: str


@click.command("doctor")
@click.argument("file", required=False)
@output_option
def command(file: str | None, output: str) -> None:
    """Look at versions, event loop, limits, plugins, the file (default: ./vyked.toml) and its ports.

    Nothing is started and nothing changed. Exit code 1 when something is at fault.
    """
    found = [*machine(), *plugins(loading.load()), *configured(file)]
    if output == "json":
        print_json(found)
    else:
        for each in found:
            click.echo(f"{each.state:<5}  {each.what:<10}  {each.text}")
    sys.exit(EXIT_FAILED if any(each.state == "fault" for each in found) else EXIT_OK)


def machine() -> Iterator[Finding]:
    """Interpreter, packages, loop, open files."""
    known = versions()
    packages = ", ".join(f"{name} {version}" for name, version in known.items() if version)
    missing = [name for name, version in known.items() if not version and name != "uvloop"]
    yield Finding(what="python", state="ok", text=f"{python()} at {sys.executable}")
    yield Finding(what="packages", state="ok", text=packages)
    if missing:
        yield Finding(what="packages", state="fault", text=f"not installed: {', '.join(missing)}; pip install them")
    fast = loop() == "uvloop"
    yield Finding(
        what="loop", state="ok" if fast else "note",
        text="uvloop" if fast else 'asyncio; faster: pip install "vyked-host[fast]"',
    )  # fmt: skip
    yield _files(open_files())


def _files(limit: int) -> Finding:
    if limit < 0 or limit >= ENOUGH_FILES:
        return Finding(what="files", state="ok", text=f"{limit if limit >= 0 else 'any number'} may be open")
    text = f"only {limit} may be open, which bounds connections; raise it: ulimit -n {ENOUGH_FILES}"
    return Finding(what="files", state="note", text=text)


def plugins(catalogue: loading.Catalogue) -> Iterator[Finding]:
    """How many may be used, and each that may not, with the reason. None is imported."""
    usable = [entry for entry in catalogue.entries if entry.usable]
    yield Finding(what="plugins", state="ok", text=f"{len(usable)} usable: `vyked-host plugins` lists them")
    for entry in catalogue.entries:
        if not entry.usable:
            state: State = "fault" if entry.state == "failed" else "note"
            yield Finding(
                what="plugins", state=state, text=f"{entry.path} of {entry.plugin} is {entry.state}: {entry.reason}"
            )


def configured(file: str | None) -> Iterator[Finding]:
    """The file's faults, and whether its ports are free."""
    path = find(file, os.environ)
    if path is None:
        yield Finding(what="file", state="note", text="no vyked.toml here; begin with: vyked-host new project NAME")
        return
    loaded = prepare(path).loaded
    for problem in loaded.problems:
        state: State = "fault" if problem.severity == "error" else "note"
        yield Finding(what="file", state=state, text=f"{problem.place}  {problem.sentence}")
    if not loaded.errors:
        yield Finding(what="file", state="ok", text=f"{path} is right")
        yield from ports(loaded)


def ports(loaded: Loaded) -> Iterator[Finding]:
    """Whether each transport of the file could listen now."""
    for name, table in loaded.settings.transports.items():
        host, given = getattr(table.options, "host", None), getattr(table.options, "port", None)
        port = PORTS.get(table.use) if given is None else given
        if host is None or not port:
            continue
        cause = taken(host, port)
        if cause is None:
            yield Finding(what="port", state="ok", text=f"{name}: {host}:{port} is free")
        elif given is None:
            text = f"{name}: {host}:{port} can't be had ({cause}); a free port will be used"
            yield Finding(what="port", state="note", text=text)
        else:
            text = f"{name}: {host}:{port} can't be had ({cause}); `ss -ltnp 'sport = :{port}'` shows who has it"
            yield Finding(what="port", state="fault", text=text)


def taken(host: str, port: int) -> str | None:
    """Why `host`:`port` can't be listened on, or None."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the host does: a port in TIME_WAIT is free
            probe.bind(address)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None
