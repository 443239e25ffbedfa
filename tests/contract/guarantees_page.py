"""Writes docs/guarantees.md: what each back end declares, and how many cases of the conformance kit prove it.

    .venv/bin/python -m tests.contract.guarantees_page

runs the kit on each of them (`vyked-host plugins verify`), with servers from the wheels, and writes nothing when a case fails. That
takes minutes; what a run would write when all pass is known without it, and compared by a test.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vyked_host.contracts import Guarantees
from vyked_host.loading import Catalogue, load
from vyked_host.testing.conformance import cases
from vyked_host.testing.verifying import claims, installed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/guarantees.md"


class Column(NamedTuple):
    """One back end under certain options; `server` is what has to run for it."""

    title: str
    kind: str
    name: str
    settings: tuple[tuple[str, object], ...] = ()
    server: str = ""


COLUMNS = {
    "pubsub": (
        Column("`embedded`", "pubsub", "embedded"),
        Column("`embedded`, `path`", "pubsub", "embedded", (("path", "events.db"),)),
        Column("`redis`", "pubsub", "redis", server="valkey"),
        Column("`redis-streams`", "pubsub", "redis-streams", server="valkey"),
        Column("`nats`", "pubsub", "nats", server="nats"),
        Column("`nats-jetstream`", "pubsub", "nats-jetstream", server="jetstream"),
    ),
    "transport": (
        Column("`tcp`", "transport", "tcp"),
        Column("`http`", "transport", "http"),
        Column("`nats`", "transport", "nats", server="nats"),
    ),
}
ROWS = claims.GUARANTEES
HEAD = """# Guarantees

What each back end declares, and what proves it. A number is that of the cases of the [conformance kit](plugins.md#the-conformance-kit)
that it passes for it, all of them part of our tests; `declared` stands where no case can look; `refused` where it is not declared and
asking for it raises `NotSupported`; an empty cell where it is not declared and there is nothing to refuse. A test fails
when this page is no longer true.

`vyked-host check` and `vyked-host run` compare what services use, and what they say they need (`EventNeeds`), with what the chosen back end
declares, and refuse with the place in `vyked.toml` and the remedy. `vyked-host plugins verify NAME` runs the kit on another one, or on these with your server.
"""


def declared(catalogue: Catalogue, column: Column) -> Guarantees:
    """What it says it gives under these options."""
    provider = catalogue.provider(column.kind, column.name)
    return provider.guarantees(installed.options_of(provider, dict(column.settings)))


def counted(given: Guarantees, kind: str) -> Counter[str]:
    """How many cases of the suite are about each guarantee, of those that are asked of a back end that gives all this."""
    suite = installed.SUITES[kind]
    found = [getattr(suite, name) for name in dir(suite) if name.startswith("test_")]
    about = [cases.of(each) for each in found if not cases.asked_for(each)]
    asked = [each for each in about if all(cases.declares(given, guarantee) for guarantee in each)]
    return Counter(guarantee for each in asked for guarantee in each)


def cell(given: Guarantees, guarantee: str, proved: Counter[str], refusable: frozenset[str]) -> str:
    """One cell of a table."""
    if not cases.declares(given, guarantee):
        return "refused" if guarantee in refusable else ""
    return str(proved[guarantee]) if proved[guarantee] else "declared"


def table(catalogue: Catalogue, kind: str, proved: dict[Column, Counter[str]]) -> str:
    """The table of one kind."""
    from vyked_host.testing.conformance.pubsub import UNDECLARED

    refusable = frozenset({*UNDECLARED, "dead_letter"}) if kind == "pubsub" else frozenset({"streams"})
    columns = COLUMNS[kind]
    given = {column: declared(catalogue, column) for column in columns}
    lines = [
        "| `Guarantees` | means | " + " | ".join(column.title for column in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for guarantee, means in ROWS[kind].items():
        cells = (cell(given[column], guarantee, proved[column], refusable) for column in columns)
        lines.append(f"| `{guarantee}` | {means} | " + " | ".join(cells) + " |")
    if kind == "pubsub":
        sizes = (f"{given[column].max_message_bytes >> 10} KiB" for column in columns)
        lines.append("| `max_message_bytes` | more is refused where it is published | " + " | ".join(sizes) + " |")
    return "\n".join(lines)


def page(proved: dict[Column, Counter[str]]) -> str:
    """The page, with these numbers."""
    catalogue = load()
    titles = {"pubsub": "Buses", "transport": "Transports"}
    parts = [f"## {titles[kind]}\n\n{table(catalogue, kind, proved)}\n" for kind in COLUMNS]
    return "\n".join((HEAD, *parts))


def expected() -> dict[Column, Counter[str]]:
    """The numbers there are when each case that is asked of a back end passes, as `test_installed` sees to."""
    catalogue = load()
    return {each: counted(declared(catalogue, each), each.kind) for columns in COLUMNS.values() for each in columns}


# ---- by running ------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """URLs of servers by name."""
    from tests.valkey import Valkey

    sys.path.insert(0, str(ROOT / "plugins/vyked-nats/tests"))
    from server import JETSTREAM, NatsServer  # type: ignore[import-not-found]

    running = {"valkey": Valkey().start(), "nats": NatsServer().start(), "jetstream": NatsServer(JETSTREAM).start()}
    try:
        yield {name: each.url for name, each in running.items()}
    finally:
        for each in running.values():
            each.close()


def proved_by_running() -> dict[Column, Counter[str]]:
    """Run the kit on each. Ends the program when a case fails."""
    found = {}
    with servers() as urls:
        for column in (each for columns in COLUMNS.values() for each in columns):
            settings = dict(column.settings) | ({"url": urls[column.server]} if column.server else {})
            words = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
            program = [
                Path(sys.executable).with_name("vyked-host"),
                "plugins",
                "verify",
                f"{column.kind}.{column.name}",
            ]
            done = subprocess.run([*program, *words, "-o", "json"], capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{column.title}: {done.stdout}{done.stderr}")
            (told,) = json.loads(done.stdout)
            found[column] = Counter({row["guarantee"]: row["passed"] for row in told["rows"]})
            print(column.title, dict(found[column]), file=sys.stderr)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(proved_by_running()))
