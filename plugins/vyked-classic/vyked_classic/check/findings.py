"""What stops an old module, and what is not as it was. Each look is a function from the tree to findings."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from . import asyncio_looks
from .asyncio_looks import DIFFERS, STOPS, imports_vyked
from .services import SERVICES, VERBS, classes, is_generator, last_name
from .source import Finding, Source, at

BUSES = ("tcp_bus", "http_bus", "pubsub_bus")
MADE = (*SERVICES, "TCPServiceClient", "HTTPServiceClient", "__init__")
"""What `ssl_context` is given to, also as ``super().__init__(..., ssl_context=...)``."""
GONE = {
    "Bus": "Host", "TCPApplicationService": "TCPService", "TCPDomainService": "TCPService", "TCPInfraService": "TCPService",
    "HTTPApplicationService": "HTTPService", "HTTPDomainService": "HTTPService", "HTTPInfraService": "HTTPService",
    "Entity": "a class of your own", "Value": "a class of your own", "Aggregate": "a class of your own",
    "Factory": "a class of your own", "PostgresStore": "a Postgres library", "cursor": "a Postgres library",
    "dict_cursor": "a Postgres library", "nt_cursor": "a Postgres library", "transaction": "a Postgres library",
    "WSService": "HTTPService with @websocket", "ws": "websocket",
}  # fmt: skip
"""Names of Vyked 1.x, and of its README, that Vyked 2.x did not have either -> what to use."""
OLD_AIOHTTP = {"GET": "query", "POST": "post()"}
"""Attributes of aiohttp's requests that are gone -> what they are called."""
Look = Callable[[ast.Module], Iterator[Finding]]


def findings(source: Source) -> list[Finding]:
    """All of a module, in order of place."""
    found = list(source.faults)
    if source.tree is not None:
        found += [each for look in LOOKS for each in look(source.tree)]
    return sorted(set(found))


# ---- what stops it ---------------------------------------------------------------------------------------------------
def helpers(tree: ast.Module) -> Iterator[Finding]:
    """Generators outside of services and clients: nothing marks them, so they can't be awaited."""
    inside = {id(each) for found in classes(tree) for each in ast.walk(found.node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and id(node) not in inside and _is_unmarked(node):
            what = (
                f"{node.name}() is a generator outside of a service: awaiting it fails as soon as it awaits something"
            )
            yield at(node, STOPS, what, "decorate it with @asyncio.coroutine, or write async def and await")


def _is_unmarked(node: ast.FunctionDef) -> bool:
    marked = "coroutine" in {last_name(each) for each in node.decorator_list}
    return not marked and is_generator(node) and _awaits(node)


def _awaits(node: ast.AST) -> bool:
    return any(isinstance(each, ast.YieldFrom) for each in ast.walk(node))


def gone_names(tree: ast.Module) -> Iterator[Finding]:
    """Names that no Vyked 2.x had."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and imports_vyked(node):
            for each in node.names:
                if each.name in GONE:
                    yield at(node, STOPS, f"vyked.{each.name} is of Vyked 1.x", f"use {GONE[each.name]}")


def gone_attributes(tree: ast.Module) -> Iterator[Finding]:
    """Buses of a service, which it has no more."""
    for found in classes(tree):
        for node in ast.walk(found.node):
            if isinstance(node, ast.Attribute) and node.attr in BUSES and last_name(node.value) == "self":
                what = f"{found.node.name}: self.{node.attr} is not there"
                yield at(node, STOPS, what, "call through the client objects, publish with @publish")


def old_aiohttp(tree: ast.Module) -> Iterator[Finding]:
    """Parts of aiohttp's requests that are gone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in OLD_AIOHTTP and last_name(node.value) == "request":
            yield at(
                node, STOPS, f"request.{node.attr} is gone from aiohttp", f"write request.{OLD_AIOHTTP[node.attr]}"
            )


# ---- what is not as it was -------------------------------------------------------------------------------------------
def addresses(tree: ast.Module) -> Iterator[Finding]:
    """Where services listen."""
    for each in classes(tree):
        if not each.is_client and each.address == "":
            what = f"{each.node.name}: an empty address is 127.0.0.1; Vyked 2.x listened everywhere"
            yield at(each.node, DIFFERS, what, 'say "0.0.0.0" where that is meant')


def services(tree: ast.Module) -> Iterator[Finding]:
    """Decorators whose meaning was put right."""
    for each in classes(tree):
        for method in each.methods:
            said = _MEANINGS.get((method.decorator, each.is_client))
            if said is not None:
                yield at(method.node, DIFFERS, f"{each.node.name}.{method.name}: {said}")
            if method.decorator in VERBS and "timeout" in method.options and not each.is_client:
                yield at(method.node, DIFFERS, f"{each.node.name}.{method.name}: {TOO_LATE}")
        if each.kind == "HTTPServiceClient":
            yield at(
                each.node,
                DIFFERS,
                f"{each.node.name}: HTTP clients work; in Vyked 2.x every call of one failed (defect 30)",
            )


_MEANINGS = {
    ("trace", False): "@trace serves TRACE; it was PUT (defect 29)",
    (
        "websocket",
        False,
    ): "close frames are no messages, an error closes the socket with 1011 and is logged (defect 33)",
    (
        "xsubscribe",
        True,
    ): "LEADER is the first that lives; over the channels of Vyked 2.x an event may still be lost (defects 18, 20)",
    ("publish", False): "only the parameters travel, not other local names (defect 41)",
}
TOO_LATE = "a route that runs into its time limit is answered with 504; it was 408 (defect 32)"


def errors(tree: ast.Module) -> Iterator[Finding]:
    """The service's own errors, and how callers see failures."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if last_name(raised) == "VykedServiceException":
                what = "VykedServiceException reaches callers as RequestException; it was a result of None (defect 1)"
                yield at(node, DIFFERS, what)
        if (
            isinstance(node, ast.Call)
            and last_name(node.func) in MADE
            and any(k.arg == "ssl_context" for k in node.keywords)
        ):
            what = "ssl_context is used by python -m vyked; vyked-host run refuses it"
            yield at(node, DIFFERS, what, "use [security.tls] in vyked.toml there")


LOOKS: tuple[Look, ...] = (
    *asyncio_looks.LOOKS,
    helpers,
    gone_names,
    gone_attributes,
    old_aiohttp,
    addresses,
    services,
    errors,
)
