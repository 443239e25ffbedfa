"""``vyked-host services``: what can be called, before anything runs."""

from __future__ import annotations

from typing import Any

import click

from .. import loading
from ..config import Service
from ..model.description import EndpointDescription, Kind, SubscriptionDescription
from ..model.queues import PREFIX
from ..service.annotations import type_name
from ..service.signatures import signature
from .printing import output_option, print_json, print_table
from .sources import prepared, set_option


@click.command("services")
@click.argument("source", metavar="[FILE|MODULE:CLASS]", required=False)
@click.option("--installed", is_flag=True, help="Services of installed packages, whether or not a file names them.")
@set_option
@output_option
def command(source: str | None, installed: bool, overrides: tuple[str, ...], output: str) -> None:
    """Show each service of FILE (default: VYKED_CONFIG, else ./vyked.toml): methods, routes, events, subscriptions, queues.

    With --installed: the names that [services.NAME] can use as they are; none of them is imported.
    """
    if installed:
        _installed(output)
        return
    loaded = prepared(source, overrides).loaded
    loaded.require()
    if output == "json":
        print_json([as_data(each) for each in loaded.services])
        return
    for service in loaded.services:
        click.echo("\n".join(as_text(service)))


# ---- of the installed packages -----------------------------------------------------------------------------------------
def _installed(output: str) -> None:
    rows = [
        {"name": entry.name, "distribution": entry.dist, "version": entry.version, "class": entry.value,
         "state": entry.state, "reason": entry.reason}
        for entry in loading.load().entries
        if entry.kind == loading.SERVICE
    ]  # fmt: skip
    if output == "json":
        print_json(rows)
        return
    cells = [(row["name"], f"{row['distribution']} {row['version']}", row["state"], row["class"]) for row in rows]
    print_table(("SERVICE", "DISTRIBUTION", "STATE", "CLASS"), cells)


# ---- of a file ---------------------------------------------------------------------------------------------------------
def as_data(service: Service) -> dict[str, Any]:
    """One service as data: names, versions, signatures; no types of Python."""
    found = service.description
    return {
        "name": found.name,
        "version": found.version,
        "class": f"{found.cls.__module__}:{found.cls.__qualname__}",
        "summary": found.summary,
        "transports": service.table.transports,
        "methods": [_method(each, service.table.http_prefix) for each in found.endpoints],
        "events": [each.name for each in found.events],
        "subscriptions": [_subscription(each) for each in found.subscriptions if not each.queue],
        "works": [
            {"name": each.handler, "takes": type_name(each.payload)} for each in found.subscriptions if each.queue
        ],
        "enqueues": [f"{each.service}.{each.name.removeprefix(PREFIX)}" for each in found.enqueues],
        "needs": [
            {"service": each.service, "version": each.version, "required": each.required} for each in found.dependencies
        ],
    }


def _method(endpoint: EndpointDescription, prefix: str) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "kind": endpoint.kind.name.lower(),
        "signature": _signature(endpoint),
        "routes": [f"{each.method.upper()} {prefix}{each.path}" for each in endpoint.http],
        "raises": [each.code for each in endpoint.raises],
        "idempotent": endpoint.idempotent,
        "summary": endpoint.summary,
    }


def _signature(endpoint: EndpointDescription) -> str:
    if endpoint.kind is Kind.WEBSOCKET and endpoint.stream_parameter:
        more = "".join(f", {name}" for name in getattr(endpoint.arguments, "__struct_fields__", ()))
        return f"(WebSocket[{type_name(endpoint.inbound)}, {type_name(endpoint.result)}]{more})"
    if endpoint.kind.is_raw:
        return "(request)"
    return f"{signature(endpoint)} -> {type_name(endpoint.result)}"


def _subscription(found: SubscriptionDescription) -> dict[str, Any]:
    return {
        "event": f"{found.service}.{found.event}",
        "major": found.major,
        "exclusive": found.exclusive,
        "handler": found.handler,
    }


def as_text(service: Service) -> list[str]:
    """One service for people: a heading and a line for each thing in it."""
    found = as_data(service)
    lines = [" ".join(filter(None, (found["name"], found["version"], found["class"], found["summary"])))]
    for each in found["methods"]:
        routes = "".join(f"  {route}" for route in each["routes"])
        lines.append(
            f"  {each['name']}{each['signature']}{'' if each['kind'] == 'unary' else '  ' + each['kind']}{routes}"
        )
    lines += [f"  event {name}" for name in found["events"]]
    lines += [f"  works {each['name']}({each['takes']})" for each in found["works"]]
    lines += [f"  enqueues {queue}" for queue in found["enqueues"]]
    lines += [f"  on {each['event']}: {each['handler']}" for each in found["subscriptions"]]
    return lines + [f"  needs {each['service']}{'' if each['required'] else ' (optional)'}" for each in found["needs"]]
