"""Rules that hold for every source file."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .sources import Source, called, imports, none, plugin_sources, source, sources

TASK_PLACES = {
    "vyked_host/runtime/tasks.py": "the task scope: named, awaited in drain, failures logged",
    "vyked_host/runtime/ahead.py": "tasks for handlers that are begun at once, each kept until it begins, and by a handler that waits",
    "vyked_host/runtime/runners.py": "one task per handler, or for those that came together; kept until it begins, then in `running`",
    "vyked_host/runtime/answered.py": "the awaitable of a publish; its failure is logged even when nobody awaits it",
    "vyked_host/assembly/run.py": "a drain that races with the second signal; both tasks are ended before it returns",
    "vyked_host/cli/load.py": "the callers of a load, in a group that waits for them",
    "vyked_host/testing/proxy.py": "it stands between hosts, in no host: its tasks end with it",
    "vyked_host/runtime/resolving.py": "tries of one dial side by side, all ended before it returns",
    "vyked_host/testing/conformance/middlewares.py": "the kit stands in the host's place: each call runs in a task of its own",
    "vyked_host/testing/conformance/registry_machine.py": "the kit drives a loop by itself: the pulse of one history, which ends with it",
    "vyked_host/runtime/links.py": "one dial shared by the calls that wait for it",
}
STARTS_ONE = {"create_task", "ensure_future", "Task", "OwnTask"}
"""The last is the host's own class of tasks (runtime.ahead)."""
NO_NAME_FOR_A_MODULE = {
    "base",
    "common",
    "core",
    "helper",
    "helpers",
    "manager",
    "misc",
    "shared",
    "stuff",
    "tools",
    "util",
    "utils",
}
NAMED_SO_ON_PURPOSE = {
    "vyked_host/service/base.py": "the base classes that services derive from",
    "vyked_host/loading/manager.py": "pluggy's term for what plugins are registered with",
}
CODE_FROM_DATA = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
FACE_OF_PLUGINS = ("vyked_host.contracts", "vyked_host.testing")


def hook_calls(each: Source) -> Iterator[str]:
    """pluggy's `manager.hook.x(...)` loses who failed and costs a microsecond: only loading calls hooks."""
    if not each.path.startswith("vyked_host/loading/"):
        for node in ast.walk(each.tree):
            if isinstance(node, ast.Attribute) and node.attr == "hook":
                yield each.at(node, "hooks are called in loading/ only")


def stray_tasks(each: Source) -> Iterator[str]:
    """A task that nobody owns outlives its host, or is collected while it runs."""
    if each.path not in TASK_PLACES:
        for node in ast.walk(each.tree):
            if called(node) in {*STARTS_ONE, "TaskGroup"}:
                yield each.at(node, "start tasks through the task scope, or list the place with its reason")


def code_from_data(each: Source) -> Iterator[str]:
    """Nothing that came from outside may become code."""
    for node, name in imports(each.tree):
        if name.partition(".")[0] in CODE_FROM_DATA:
            yield each.at(node, f"{name} turns data into code")
    for node in ast.walk(each.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
            yield each.at(node, f"{node.func.id}() turns text into code")


def drawers(each: Source) -> Iterator[str]:
    """A module is named for what it holds; these names hold anything."""
    parts = Path(each.path).with_suffix("").parts
    if each.path not in NAMED_SO_ON_PURPOSE and NO_NAME_FOR_A_MODULE & {part.strip("_") for part in parts}:
        yield each.at(each.tree, "name the module for what it holds")


def undocumented_modules(each: Source) -> Iterator[str]:
    if not ast.get_docstring(each.tree):
        yield each.at(each.tree, "the module does not say why it exists")


def workarounds(each: Source) -> Iterator[str]:
    """A promise to do it later belongs into the issue tracker."""
    for number, line in enumerate(each.text.splitlines(), 1):
        if any(mark in line for mark in ("TODO", "FIXME", "XXX", "HACK")):
            yield f"{each.path}:{number}: {line.strip()}"


def beyond_the_face(each: Source) -> Iterator[str]:
    """What a plugin of ours needs, a stranger's needs too: it has to be in the public face or in contracts."""
    for node, name in imports(each.tree):
        top, _, rest = name.partition(".")
        if top == "vyked_host" and "." in rest and not name.startswith(FACE_OF_PLUGINS):
            yield each.at(node, f"{name} is not for plugins: import vyked_host or vyked_host.contracts")


Rule = Callable[[Source], Iterator[str]]
PLANTED: list[tuple[Rule, str, str]] = [
    (hook_calls, "found = manager.hook.vyked_services()", "vyked_host/runtime/planted.py"),
    (stray_tasks, "import asyncio\nasyncio.create_task(work())", "vyked_host/builtin/planted.py"),
    (stray_tasks, "def go(loop): loop.create_task(work())", "vyked_host/builtin/planted.py"),
    (stray_tasks, "from asyncio import ensure_future\nensure_future(work())", "vyked_host/cli/planted.py"),
    (code_from_data, "import pickle", "vyked_host/wire/planted.py"),
    (
        code_from_data,
        "def load(data):\n    from marshal import loads\n    return loads(data)",
        "vyked_host/wire/planted.py",
    ),
    (code_from_data, "def run(text): eval(text)", "vyked_host/cli/planted.py"),
    (drawers, '"""Things."""', "vyked_host/runtime/utils.py"),
    (drawers, '"""Things."""', "vyked_host/common/text.py"),
    (undocumented_modules, "x = 1", "vyked_host/model/planted.py"),
    (workarounds, "x = 1  # TODO: later", "vyked_host/model/planted.py"),
    (beyond_the_face, "from vyked_host.runtime.node import Node", "plugins/planted/planted.py"),
    (beyond_the_face, "import vyked_host.model.version", "plugins/planted/planted.py"),
]
FINE: list[tuple[Rule, str, str]] = [
    (hook_calls, "found = manager.hook.vyked_services()", "vyked_host/loading/planted.py"),
    (stray_tasks, "env.tasks(work(), 'work')", "vyked_host/builtin/planted.py"),
    (code_from_data, "import re\nre.compile('x')", "vyked_host/wire/planted.py"),
    (drawers, '"""Routes."""', "vyked_host/runtime/routes.py"),
    (
        beyond_the_face,
        "from vyked_host.contracts import Provider\nfrom vyked_host import Service",
        "plugins/planted/planted.py",
    ),
]


def _name(rule: object) -> str | None:
    return getattr(rule, "__name__", "")


@pytest.mark.parametrize(
    "rule", [hook_calls, stray_tasks, code_from_data, drawers, undocumented_modules, workarounds], ids=_name
)
def test_the_host_keeps(rule: Rule) -> None:
    none(breach for each in sources() for breach in rule(each))


@pytest.mark.parametrize("rule", [code_from_data, undocumented_modules, workarounds, beyond_the_face], ids=_name)
def test_plugins_and_examples_keep(rule: Rule) -> None:
    none(breach for each in plugin_sources() for breach in rule(each))


@pytest.mark.parametrize(("rule", "text", "path"), PLANTED, ids=_name)
def test_a_planted_breach_is_found(rule: Rule, text: str, path: str) -> None:
    assert list(rule(source(text, path)))


@pytest.mark.parametrize(("rule", "text", "path"), FINE, ids=_name)
def test_what_is_fine_is_left_alone(rule: Rule, text: str, path: str) -> None:
    assert not list(rule(source(text, path)))


def test_every_listed_exception_still_exists() -> None:
    known = {each.path for each in sources()}
    assert {*TASK_PLACES, *NAMED_SO_ON_PURPOSE} <= known


def test_every_place_that_may_start_tasks_does() -> None:
    starting = {each.path for each in sources() if any(called(n) in STARTS_ONE for n in ast.walk(each.tree))}
    assert set(TASK_PLACES) <= starting
