"""Contracts are documents: each hook and each method says when, what, and what may go wrong, with an example that fits."""

from __future__ import annotations

import ast
import inspect
import re
import types
from collections.abc import Callable, Iterator
from textwrap import dedent
from typing import Any

import pluggy
import pytest

from vyked_host.contracts import calls, environment, hookspecs, kinds

from .sources import ROOT, none

HOOKS: dict[str, Callable[..., Any]] = {
    name: each for name, each in vars(hookspecs).items() if name.startswith("vyked_")
}
PROTOCOLS = sorted(
    {
        each
        for module in (calls, kinds, environment)
        for each in vars(module).values()
        if isinstance(each, type) and getattr(each, "_is_protocol", False) and each.__module__ == module.__name__
    },
    key=lambda each: each.__name__,
)
WHEN = re.compile(r"(When|Once|While|Before|After|At) ")
FAILS = re.compile(r"must not block|Raises|may take|may raise", re.IGNORECASE)
METHODS_OF_A_PROTOCOL = 5


def missing(hook: Callable[..., Any]) -> Iterator[str]:
    """What the docstring of a hook does not say."""
    text = inspect.getdoc(hook) or ""
    if not WHEN.match(text):
        yield "when it is called, first"
    if not re.search(r"[Rr]eturns|yields", text):
        yield "what it returns"
    if not FAILS.search(text):
        yield "what it may raise, or that it must not block"
    if not example(hook):
        yield "an example"
    for name in inspect.signature(hook).parameters:
        if not re.search(rf"\b{name}\b", text):
            yield f"its argument {name}"


def example(hook: Callable[..., Any]) -> str:
    """The indented block after ``Example::``."""
    return dedent((inspect.getdoc(hook) or "").partition("Example::")[2])


def implements(text: str, name: str, specifications: object) -> str:
    """Why a plugin made of `text` would be refused, or does not implement `name`; "" when all is well."""
    plugin = types.ModuleType("example")
    plugin.__dict__["hookimpl"] = hookspecs.hookimpl
    exec(compile(text, f"example of {name}", "exec"), plugin.__dict__)  # our own documentation
    manager = pluggy.PluginManager("vyked_host")
    manager.add_hookspecs(specifications)
    caller = getattr(manager.hook, name)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        return str(error)
    return "" if caller.get_hookimpls() else "it implements nothing"


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_when_what_and_how_it_fails(name: str) -> None:
    none(missing(HOOKS[name]))


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_is_a_plugin(name: str) -> None:
    assert implements(example(HOOKS[name]), name, hookspecs) == ""


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_used_in_some_test(name: str) -> None:
    assert name in other_tests()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.__name__)
def test_a_protocol_says_what_it_and_each_method_is(protocol: type) -> None:
    assert undocumented(protocol) == []


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.__name__)
def test_a_protocol_is_small(protocol: type) -> None:
    assert len(methods(protocol)) <= METHODS_OF_A_PROTOCOL


def test_all_hooks_and_protocols_are_looked_at() -> None:
    tree = ast.parse((ROOT / "vyked_host/contracts/hookspecs.py").read_text())
    assert set(HOOKS) == {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"Sink", "Calls", "Transport", "Registry", "PubSub", "Clock", "Net", "HostView"} <= {
        p.__name__ for p in PROTOCOLS
    }


def methods(protocol: type) -> dict[str, Any]:
    """The methods that a Protocol itself asks for."""
    return {
        name: each for name, each in vars(protocol).items() if inspect.isfunction(each) and not name.startswith("_")
    }


def undocumented(protocol: type) -> list[str]:
    """The Protocol and those of its methods that have no docstring."""
    found = {protocol.__name__: protocol, **methods(protocol)}
    return [name for name, each in found.items() if not (each.__doc__ or "").strip()]


def other_tests() -> str:
    files = (*ROOT.glob("tests/**/*.py"), *ROOT.glob("plugins/*/tests/**/*.py"))
    return "\n".join(file.read_text() for file in files if "architecture" not in file.parts)


# ---- each rule catches a planted sample ------------------------------------------------------------------------------
def vyked_bare(settings: object) -> None: ...


def vyked_terse(settings: object) -> None:
    """When it rains. `settings`: the file. Returns nothing. Must not block. Example::

    @hookimpl
    def vyked_terse(setings): ...
    """


def test_a_hook_without_words_is_found() -> None:
    assert list(missing(vyked_bare)) == [
        "when it is called, first",
        "what it returns",
        "what it may raise, or that it must not block",
        "an example",
        "its argument settings",
    ]


def test_an_example_that_does_not_fit_is_found() -> None:
    specifications = types.ModuleType("specifications")
    vars(specifications)["vyked_terse"] = hookspecs.hookspec(vyked_terse)
    assert list(missing(vyked_terse)) == []
    assert "setings" in implements(example(vyked_terse), "vyked_terse", specifications)
    assert implements("def vyked_terse(settings): ...", "vyked_terse", specifications) == "it implements nothing"


def test_a_method_without_words_is_found() -> None:
    class Planted:
        """Something."""

        def documented(self) -> None:
            """Does something."""

        def bare(self) -> None: ...

    assert undocumented(Planted) == ["bare"]


def test_a_hook_that_no_test_uses_is_found() -> None:
    assert "vyked_terse" not in other_tests()
