"""The services and clients of an old module: what their classes say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

SERVICES = ("TCPService", "HTTPService")
CLIENTS = ("TCPServiceClient", "HTTPServiceClient")
VERBS = ("get", "post", "head", "put", "patch", "delete", "options", "trace")
DECORATORS = frozenset(
    ["api", "apideprecated", "deprecated", "request", "publish", "subscribe", "xsubscribe", "websocket", *VERBS]
)
"""Those of Vyked 2.x: the others of a method are not for the host."""


class Method(NamedTuple):
    """One decorated method: `options` are the keyword arguments of its decorator, as source text."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    decorator: str
    options: dict[str, str]

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name


class OldClass(NamedTuple):
    """A service or a client; name and version are None where they are no constants."""

    node: ast.ClassDef
    kind: str
    name: str | None
    version: str | None
    address: str | None
    methods: tuple[Method, ...]

    @property
    def is_client(self) -> bool:
        """Does it call, rather than serve?"""
        return self.kind in CLIENTS


def classes(tree: ast.Module) -> tuple[OldClass, ...]:
    """Those of a module, also of classes that derive from one of its own."""
    nodes = [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]
    kinds: dict[str, str] = {name: name for name in (*SERVICES, *CLIENTS)}
    for _ in nodes:  # until every chain of bases is followed
        for each in nodes:
            for base in each.bases:
                if (kind := kinds.get(last_name(base))) is not None:
                    kinds.setdefault(each.name, kind)
    return tuple(_class(each, kinds[each.name]) for each in nodes if each.name in kinds)


def _class(node: ast.ClassDef, kind: str) -> OldClass:
    name, version, address = (*_constructed(node), None, None, None)[:3]
    return OldClass(node, kind, name.lower() if name else None, version, address, tuple(_methods(node)))


def _constructed(node: ast.ClassDef) -> Iterator[str | None]:
    """The constants among the arguments of ``super().__init__(name, version, address, ...)``."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
            arguments = (
                call.args[1:]
                if call.args and isinstance(call.args[0], ast.Name) and call.args[0].id == "self"
                else call.args
            )
            for each in arguments[:3]:
                yield str(each.value) if isinstance(each, ast.Constant) and each.value is not None else None
            return


def _methods(node: ast.ClassDef) -> Iterator[Method]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in each.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if last_name(call) not in DECORATORS:
                    continue
                options = (
                    {k.arg: ast.unparse(k.value) for k in decorator.keywords if k.arg}
                    if isinstance(decorator, ast.Call)
                    else {}
                )
                yield Method(each, last_name(call), options)


def last_name(node: ast.AST) -> str:
    """``api`` of ``vyked.api`` and of ``api``; "" of anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_generator(node: ast.AST) -> bool:
    """Does the body of this function itself yield?"""
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(each))
    return False
