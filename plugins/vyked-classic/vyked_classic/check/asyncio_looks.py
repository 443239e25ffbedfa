"""What an old module uses of asyncio that is gone, or is not as it was. Each look is a function from the tree to findings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .services import is_generator, last_name
from .source import Finding, at

STOPS, DIFFERS = "stops", "differs"
LOOPED = frozenset(
    [
        "sleep", "wait", "wait_for", "gather", "shield", "Queue", "PriorityQueue", "LifoQueue", "Lock", "Event", "Condition",
        "Semaphore", "BoundedSemaphore", "StreamReader", "open_connection", "start_server", "create_subprocess_exec",
        "create_subprocess_shell", "as_completed", "timeout",
    ]
)  # fmt: skip
"""Of asyncio, that took `loop=` until Python 3.10."""


class Names(NamedTuple):
    """How a module calls asyncio: `modules`: it itself, `members`: name here -> name there."""

    modules: frozenset[str]
    members: dict[str, str]

    def of(self, node: ast.AST) -> str:
        """What of asyncio `node` names; "" for nothing of it."""
        if isinstance(node, ast.Attribute) and last_name(node.value) in self.modules:
            return node.attr
        return self.members.get(node.id, "") if isinstance(node, ast.Name) else ""


def names(tree: ast.Module) -> Names:
    """Those of a module, as its imports say."""
    modules, members = {"asyncio"}, dict[str, str]()
    everything = {name: name for name in LOOPED}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {each.asname for each in node.names if each.name == "asyncio" and each.asname}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "asyncio":
            for each in node.names:
                members |= everything if each.name == "*" else {each.asname or each.name: each.name}
    return Names(frozenset(modules), members)


def loops(tree: ast.Module) -> Iterator[Finding]:
    """``loop=``, which Python 3.10 took away."""
    known = names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(each.arg == "loop" for each in node.keywords):
            name = known.of(node.func)
            if name in LOOPED:
                yield at(node, STOPS, f"asyncio.{name}(loop=...) is refused since Python 3.10", "leave loop= out")


def waits(tree: ast.Module) -> Iterator[Finding]:
    """Coroutines of this module that are given to `asyncio.wait`. What a client's @request gives is a Future."""
    known, coroutines = names(tree), _coroutines(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and known.of(node.func) == "wait":
            given = [each for each in _given(*node.args[:1]) if isinstance(each, ast.Call)]
            if coroutines.intersection(last_name(each.func) for each in given):
                what = "asyncio.wait() takes no coroutines since Python 3.11"
                yield at(node, STOPS, what, "put each into asyncio.ensure_future(), or use asyncio.gather")


def _coroutines(tree: ast.Module) -> frozenset[str]:
    found = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) or (isinstance(node, ast.FunctionDef) and _is_awaited(node))
    ]
    return frozenset(found)


def _is_awaited(node: ast.FunctionDef) -> bool:
    decorators = {last_name(each) for each in node.decorator_list}
    return "coroutine" in decorators or ("request" not in decorators and is_generator(node))


def _given(node: ast.AST | None = None) -> list[ast.expr]:
    """What is in a list that is written out."""
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
        return [node.elt]
    return node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []


def locks(tree: ast.Module) -> Iterator[Finding]:
    """``with (yield from lock)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            for each in node.items:
                if isinstance(each.context_expr, ast.YieldFrom):
                    what = "with (yield from lock) is gone since Python 3.9"
                    yield at(node, STOPS, what, "yield from lock.acquire(), and release it in a finally")


def early_coroutines(tree: ast.Module) -> Iterator[Finding]:
    """`asyncio.coroutine` where nothing has restored it yet: importing vyked does."""
    known = names(tree)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    restored = min((node.lineno for node in imports if imports_vyked(node)), default=None)
    uses = [node for node in ast.walk(tree) if _uses_coroutine(node, known)]
    for node in sorted(uses, key=lambda each: getattr(each, "lineno", 1)):
        if restored is None or getattr(node, "lineno", 1) < restored:
            what = "asyncio.coroutine is used before vyked is imported, which restores it"
            yield at(node, STOPS, what, "import vyked first, or run it with python -m vyked or vyked-host run")
            return


def _uses_coroutine(node: ast.AST, known: Names) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "asyncio" and any(each.name == "coroutine" for each in node.names)
    return isinstance(node, ast.Attribute) and known.of(node) == "coroutine"


def imports_vyked(node: ast.AST) -> bool:
    """Does it import vyked, or something of it?"""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "vyked"
    return isinstance(node, ast.Import) and any(each.name.partition(".")[0] == "vyked" for each in node.names)


def gone(tree: ast.Module) -> Iterator[Finding]:
    """Parts of asyncio that are gone."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("all_tasks", "current_task")
            and last_name(node.value) == "Task"
        ):
            yield at(node, STOPS, f"asyncio.Task.{node.attr} is gone since Python 3.9", f"write asyncio.{node.attr}")


def early_loops(tree: ast.Module) -> Iterator[Finding]:
    """The event loop as it is while the module is imported, or before the host runs: in Vyked 2.x it was the host's."""
    known = names(tree)
    for node in _outside_of_functions(tree):
        if isinstance(node, ast.Call) and known.of(node.func) == "get_event_loop":
            what = "asyncio.get_event_loop() outside of a function: the host runs on a loop of its own, and what is made with this one is of no use there"
            yield at(node, DIFFERS, what, "make it in `async def on_start` or in a method that is called")


def _outside_of_functions(tree: ast.Module) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


LOOKS = (loops, waits, locks, early_coroutines, gone, early_loops)
