"""Nothing reflective per message: what a call needs was looked up and composed at start-up.

By syntax: modules on the path of a message import nothing that inspects, and never look up an attribute whose name is
data (the ancestor did `getattr(host, packet["endpoint"])`); their functions per message look up none by name at all.

By watching: while calls are made, over the local channel and over TCP, the interpreter reports each function entered.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType

import pluggy
import pytest

from vyked_host import Host, Service, api

from .sources import Source, called, functions, imports, none, source, sources

ON_THE_PATH = (
    "vyked_host/runtime/dispatcher.py",
    "vyked_host/runtime/invocation.py",
    "vyked_host/runtime/answers.py",
    "vyked_host/runtime/pending.py",
    "vyked_host/runtime/client.py",
    "vyked_host/runtime/outgoing.py",
    "vyked_host/runtime/attempts.py",
    "vyked_host/runtime/streaming.py",
    "vyked_host/runtime/hedging.py",
    "vyked_host/runtime/guards.py",
    "vyked_host/runtime/bulkhead.py",
    "vyked_host/builtin/tcp/client.py",
    "vyked_host/builtin/tcp/server.py",
    "vyked_host/builtin/tcp/link.py",
    "vyked_host/builtin/balancers/*.py",
    "vyked_host/wire/*.py",
    "vyked_host/routing/*.py",
)
PER_MESSAGE = {
    "dispatch", "respond", "_respond", "answered", "fail", "_fail", "item", "end", "credit", "cancel", "run", "call", "proceed",
    "_attempt", "data_received", "receive_data", "next_event", "send", "feed", "decode", "encode", "choose", "observed",
    "__anext__", "publish",
}  # fmt: skip
REFLECTION = {
    "inspect",
    "pluggy",
    "importlib",
    "importlib_metadata",
    "typing.get_type_hints",
}
BY_NAME = {"getattr", "setattr", "hasattr", "delattr", "__getattribute__"}
INSPECTING = {
    "get_type_hints",
    "signature",
    "get_annotations",
    "vars",
    "dir",
    "import_module",
    "iscoroutinefunction",
    "isasyncgenfunction",
}


def on_the_path(each: Source) -> bool:
    return any(fnmatch(each.path, pattern) for pattern in ON_THE_PATH)


def reflective(each: Source) -> Iterator[str]:
    """What of a module on the path of a message is reflective."""
    for node, name in imports(each.tree):
        if REFLECTION & {name, name.partition(".")[0]} and node not in _type_checking(each.tree):
            yield each.at(node, f"{name}: inspect at start-up, elsewhere")
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Call) and called(node) in BY_NAME and not _constant_name(node):
            yield each.at(node, "an attribute whose name is data")
    for function in functions(each.tree):
        if function.node.name in PER_MESSAGE:
            for node in ast.walk(function.node):
                if called(node) in BY_NAME | INSPECTING:
                    yield each.at(node, f"{called(node)} in {function.name}, per message: look it up at start-up")


def _constant_name(call: ast.Call) -> bool:
    """Is the name in ``getattr(x, name)`` written in the source?"""
    names = call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:1]
    return all(isinstance(name, ast.Constant) for name in names)


def _type_checking(tree: ast.Module) -> set[ast.AST]:
    """Everything under ``if TYPE_CHECKING:``."""
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    return {inner for block in blocks for inner in ast.walk(block)}


def test_nothing_on_the_path_of_a_message_is_reflective() -> None:
    none(breach for each in sources() if on_the_path(each) for breach in reflective(each))


@pytest.mark.parametrize("pattern", ON_THE_PATH)
def test_each_listed_module_exists(pattern: str) -> None:
    assert [each.path for each in sources() if fnmatch(each.path, pattern)]


def test_what_is_called_per_message_is_found_there() -> None:
    """The names above are those of the code: a renamed method would escape the rule."""
    found = {one.node.name for each in sources() if on_the_path(each) for one in functions(each.tree)}
    assert {
        "dispatch",
        "respond",
        "fail",
        "item",
        "credit",
        "cancel",
        "run",
        "call",
        "data_received",
        "choose",
    } <= found


@pytest.mark.parametrize(
    "text",
    [
        "import inspect",
        "from typing import get_type_hints",
        "def start(host, packet): return getattr(host, packet['endpoint'])()",
        "def start(host, name): setattr(host, name, 1)",
        "class A:\n    def dispatch(self, call, sink): return getattr(call, 'body')",
        "class A:\n    def respond(self, call, body):\n        if hasattr(body, 'aclose'): pass",
        "def make():\n    async def call(arguments): return signature(arguments)\n    return call",
        "def start(self, host, name): return host.__getattribute__(name)",
    ],
)
def test_planted_reflection_is_found(text: str) -> None:
    assert list(reflective(source(text, "vyked_host/runtime/dispatcher.py")))


@pytest.mark.parametrize(
    "text",
    [
        "def compose(listener): return getattr(listener, 'connections', 0)",
        "class A:\n    def dispatch(self, call, sink): return self._routes[call.endpoint]",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import inspect",
    ],
)
def test_what_is_composed_is_left_alone(text: str) -> None:
    assert not list(reflective(source(text, "vyked_host/runtime/dispatcher.py")))


# ---- by watching -----------------------------------------------------------------------------------------------------
class Echo(Service, name="echo", version="1.0.0"):
    @api
    async def echo(self, text: str) -> str:
        return text

    @api
    async def inspected(self, text: str) -> str:
        return str(inspect.signature(self.echo))


TCP = "[host]\nmesh = 'watched'\n[transports.tcp]\nport = 0\n"
CALLER = "[host]\nmesh = 'watched'\n[registry]\nuse = 'static'\n[registry.static]\nnodes = ['{uri}']\n"
INSPECTORS = {Path(each.__file__ or "").resolve() for each in (inspect, typing, importlib)}
PLUGGY = Path(pluggy.__file__).resolve().parent
BUILTINS_BY_NAME = {getattr, setattr, hasattr, delattr}


@contextmanager
def watching() -> Iterator[set[str]]:
    """What reflection happens meanwhile in this thread: calls of inspecting modules, and by-name look-ups of ours."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, what: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and (file in INSPECTORS or PLUGGY in file.parents) and frame.f_code.co_name != "cast":
            found.add(f"{file.name}: {frame.f_code.co_name}")
        elif event == "c_call" and what in BUILTINS_BY_NAME and "/vyked_host/" in str(file):
            found.add(f"{file.name}:{frame.f_lineno}: {what.__name__}")  # type: ignore[attr-defined]

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


async def watched(call: Callable[[str], typing.Awaitable[str]]) -> set[str]:
    """What happens during calls, once the first has opened what it needs."""
    await call("first")
    with watching() as found:
        for number in range(20):
            await call(str(number))
    return found


async def test_local_calls_reflect_on_nothing() -> None:
    async with Host(Echo, text=TCP) as host:
        assert await watched(host.client(Echo).echo) == set()


async def test_calls_over_tcp_reflect_on_nothing_on_either_side() -> None:
    async with Host(Echo, text=TCP) as host:
        uri = next(each.uri for each in host.addresses if each.transport == "tcp")
        async with Host(text=CALLER.format(uri=uri)) as caller:
            while len(caller.node.directory.nodes) < 2:
                await caller.node.directory.change()
            assert await watched(caller.client(Echo).echo) == set()


async def test_a_planted_inspection_is_seen() -> None:
    async with Host(Echo, text=TCP) as host:
        assert "inspect.py: signature" in await watched(host.client(Echo).inspected)
