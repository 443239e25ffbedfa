"""``vyked-host run``: serve until told to stop."""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import Any

import click

from ..assembly import Host
from ..assembly import run as serve
from .sources import PluginsCommand, no_plugins_option, prepared, set_option

log = logging.getLogger("vyked")


@click.command("run", cls=PluginsCommand)
@click.argument("source", metavar="[FILE|MODULE:CLASS]", required=False)
@set_option
@no_plugins_option
def command(source: str | None, overrides: tuple[str, ...], no_plugins: bool | Collection[str]) -> None:
    """Serve the services of FILE (default: VYKED_CONFIG, else ./vyked.toml), or of one class: `run hello:Hello`.

    The file is checked first; a fault in it is exit 4 and nothing is opened. Ctrl+C or SIGTERM lets running calls finish
    and ends with 0, a second one forces (1). SIGUSR2 writes every task with its stack to the log.
    """
    sys.exit(serve(prepared(source, overrides, no_plugins), announce))


def announce(host: Host, seconds: float) -> None:
    """The host is ready: a banner for a person, else one line of the log."""
    if sys.stderr.isatty():
        click.echo("\n".join(banner(host, seconds)), err=True)
        return
    log.info("ready in %.0f ms", seconds * 1000, extra=facts(host))


def facts(host: Host) -> dict[str, Any]:
    """What serves where, as data."""
    return {
        "mesh": host.mesh,
        "node": host.node.record.node_id,
        "services": [f"{each.name}@{each.description.version}" for each in host.node.hosted],
        "addresses": [address.uri for address in host.addresses],
    }


def banner(host: Host, seconds: float) -> list[str]:
    """At most eight lines: who, which services, where to reach them, how to go on."""
    from .machine import python, versions

    settings = host.node.settings
    services = [f"{each.name} {each.description.version} ({_counted(each.description)})" for each in host.node.hosted]
    return [
        f"vyked-host {versions()['vyked-host']} · {python()} · mesh {host.mesh} · node {host.node.record.node_id}",
        f"  services  {', '.join(services) or 'none: add [services.NAME] to the file'}",
        f"  registry  {settings.registry.use} · pubsub {settings.pubsub.use}",
        *_addresses(host),
        f"ready in {seconds * 1000:.0f} ms · Ctrl+C stops, twice forces{_try(host)}",
    ]


def _addresses(host: Host) -> list[str]:
    found = [address for address in host.addresses if not address.uri.startswith("local")]
    return [f"  {address.transport:<8}  {address.uri}" for address in found[:4]]


def _counted(description: Any) -> str:
    counts = {"method": len(description.endpoints), "event": len(description.events)}
    return (
        ", ".join(f"{number} {noun}{'s' * (number > 1)}" for noun, number in counts.items() if number) or "no methods"
    )


def _try(host: Host) -> str:
    """A route that can be opened as it stands, where there is one."""
    base = next((each.uri for each in host.addresses if each.uri.startswith("http")), None)
    return f" · try: curl {base}/" if base else ""
