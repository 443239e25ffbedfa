"""What stops an old module, and what is not as it was. Each look is a function from the tree to findings."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .services import SERVICES, classes, is_generator, last_name
from .source import Finding, Source

STOPS, DIFFERS = "stops", "differs"
BUSES = ("tcp_bus", "http_bus", "pubsub_bus")
MADE = (*SERVICES, "TCPServiceClient", "HTTPServiceClient", "__init__")
"""What `ssl_context` is given to, also as ``super().__init__(..., ssl_context=...)``."""
LOOPED = frozenset(
    [
        "sleep",
        "wait",
        "wait_for",
        "gather",
        "shield",
        "Queue",
        "PriorityQueue",
        "LifoQueue",
        "Lock",
        "Event",
        "Condition",
        "Semaphore",
        "BoundedSemaphore",
        "StreamReader",
        "open_connection",
        "start_server",
        "create_subprocess_exec",
        "create_subprocess_shell",
        "as_completed",
        "timeout",
    ]
)
"""Of asyncio, that took `loop=` until Python 3.10."""
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


def _at(node: ast.AST, severity: str, what: str, remedy: str = "") -> Finding:
    return Finding(getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, severity, what, remedy)


# ---- what stops it ---------------------------------------------------------------------------------------------------
def loops(tree: ast.Module) -> Iterator[Finding]:
    """``loop=``, which Python 3.10 took away."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _took_a_loop(node) and any(each.arg == "loop" for each in node.keywords):
            what = f"asyncio.{last_name(node.func)}(loop=...) is refused since Python 3.10"
            yield _at(node, STOPS, what, "leave loop= out")


def _took_a_loop(node: ast.Call) -> bool:
    return last_name(node.func) in LOOPED and _is_asyncio(node.func)


def _is_asyncio(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and last_name(node.value) == "asyncio")


def helpers(tree: ast.Module) -> Iterator[Finding]:
    """Generators outside of services and clients: nothing marks them, so they can't be awaited."""
    inside = {id(each) for found in classes(tree) for each in ast.walk(found.node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and id(node) not in inside and _is_unmarked(node):
            what = (
                f"{node.name}() is a generator outside of a service: awaiting it fails as soon as it awaits something"
            )
            yield _at(node, STOPS, what, "decorate it with @asyncio.coroutine, or write async def and await")


def _is_unmarked(node: ast.FunctionDef) -> bool:
    marked = "coroutine" in {last_name(each) for each in node.decorator_list}
    return not marked and is_generator(node) and _awaits(node)


def _awaits(node: ast.AST) -> bool:
    return any(isinstance(each, ast.YieldFrom) for each in ast.walk(node))


def early_coroutines(tree: ast.Module) -> Iterator[Finding]:
    """`asyncio.coroutine` where nothing has restored it yet: importing vyked does."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    restored = min((node.lineno for node in imports if _imports_vyked(node)), default=None)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and node.attr == "coroutine" and last_name(node.value) == "asyncio"):
            continue
        if restored is None or node.lineno < restored:
            what = "asyncio.coroutine is used before vyked is imported, which restores it"
            yield _at(node, STOPS, what, "import vyked first, or run it with python -m vyked or vyked-host run")
            return


def _imports_vyked(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "vyked"
    return isinstance(node, ast.Import) and any(each.name.partition(".")[0] == "vyked" for each in node.names)


def gone_names(tree: ast.Module) -> Iterator[Finding]:
    """Names that no Vyked 2.x had."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _imports_vyked(node):
            for each in node.names:
                if each.name in GONE:
                    yield _at(node, STOPS, f"vyked.{each.name} is of Vyked 1.x", f"use {GONE[each.name]}")


def gone_attributes(tree: ast.Module) -> Iterator[Finding]:
    """Buses of a service, which it has no more."""
    for found in classes(tree):
        for node in ast.walk(found.node):
            if isinstance(node, ast.Attribute) and node.attr in BUSES and last_name(node.value) == "self":
                what = f"{found.node.name}: self.{node.attr} is not there"
                yield _at(node, STOPS, what, "call through the client objects, publish with @publish")


def old_asyncio(tree: ast.Module) -> Iterator[Finding]:
    """Parts of asyncio that are gone."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("all_tasks", "current_task")
            and last_name(node.value) == "Task"
        ):
            yield _at(node, STOPS, f"asyncio.Task.{node.attr} is gone since Python 3.9", f"write asyncio.{node.attr}")
        if isinstance(node, ast.Attribute) and node.attr in OLD_AIOHTTP and last_name(node.value) == "request":
            yield _at(
                node, STOPS, f"request.{node.attr} is gone from aiohttp", f"write request.{OLD_AIOHTTP[node.attr]}"
            )


# ---- what is not as it was -------------------------------------------------------------------------------------------
def addresses(tree: ast.Module) -> Iterator[Finding]:
    """Where services listen."""
    for each in classes(tree):
        if not each.is_client and each.address == "":
            what = f"{each.node.name}: an empty address is 127.0.0.1; Vyked 2.x listened everywhere"
            yield _at(each.node, DIFFERS, what, 'say "0.0.0.0" where that is meant')


def services(tree: ast.Module) -> Iterator[Finding]:
    """Decorators whose meaning was put right."""
    for each in classes(tree):
        for method in each.methods:
            said = _MEANINGS.get((method.decorator, each.is_client))
            if said is not None:
                yield _at(method.node, DIFFERS, f"{each.node.name}.{method.name}: {said}")
        if each.kind == "HTTPServiceClient":
            yield _at(
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


def errors(tree: ast.Module) -> Iterator[Finding]:
    """The service's own errors, and how callers see failures."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if last_name(raised) == "VykedServiceException":
                what = "VykedServiceException reaches callers as RequestException; it was a result of None (defect 1)"
                yield _at(node, DIFFERS, what)
        if (
            isinstance(node, ast.Call)
            and last_name(node.func) in MADE
            and any(k.arg == "ssl_context" for k in node.keywords)
        ):
            what = "ssl_context is used by python -m vyked; vyked-host run refuses it"
            yield _at(node, DIFFERS, what, "use [security.tls] in vyked.toml there")


LOOKS: tuple[Look, ...] = (
    loops,
    helpers,
    early_coroutines,
    gone_names,
    gone_attributes,
    old_asyncio,
    addresses,
    services,
    errors,
)
