"""Services of an old module as they would be written today: a start, to be filled with the bodies and the types."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from vyked_host import UsageError
from vyked_host.contracts import parse

from .services import VERBS, Method, OldClass

OLD_PARAMETERS = frozenset({"self", "request", "entity", "app_name"})


def modern(found: tuple[OldClass, ...]) -> str:
    """Source text of all services; clients become attributes of who uses them."""
    services = [each for each in found if not each.is_client]
    clients = [each for each in found if each.is_client]
    parts = [_service(each, clients) for each in services]
    if not parts:
        return ""
    names = sorted(
        {"Service"} | {name for part in parts for name in _IMPORTED if f"@{name}" in part or f" {name}(" in part}
    )
    return f"from typing import Any\n\nfrom vyked_host import {', '.join(names)}\n\n\n" + "\n\n".join(parts)


_IMPORTED = ("api", "apideprecated", "publish", "subscribe", "xsubscribe", "client", "websocket", *VERBS)


def _service(service: OldClass, clients: list[OldClass]) -> str:
    name, version = service.name or service.node.name.lower(), _semantic(service.version)
    unknown = "" if service.name else "  # the name is not written in the old class"
    lines = [f'class {service.node.name}(Service, name="{name}", version="{version}"):{unknown}']
    lines += [
        f'    {_attribute(each)} = client("{each.name or "name"}", version="{each.version or "1"}")' for each in clients
    ]
    for method in service.methods:
        lines += _method(method)
    for each in clients:
        for method in each.methods:
            lines += _subscription(each, method)
    return "\n".join(lines if len(lines) > 1 else [*lines, "    ..."]) + "\n"


def _attribute(found: OldClass) -> str:
    name = found.node.name.removesuffix("Client").removesuffix("Service")
    return "".join(f"_{c.lower()}" if c.isupper() and at else c.lower() for at, c in enumerate(name)) or "client"


def _semantic(version: str | None) -> str:
    try:
        return str(parse(version or "1"))
    except UsageError:
        return "1.0.0"


def _method(method: Method) -> Iterator[str]:
    decorator = method.decorator
    if decorator not in _IMPORTED:
        return
    options = dict(method.options)
    path = options.pop("path", None)
    arguments = ", ".join(filter(None, (path, *(f"{k}={v}" for k, v in options.items() if k != "required_params"))))
    yield ""
    yield f"    @{decorator}({arguments})" if arguments else f"    @{decorator}"
    if decorator in VERBS or decorator == "websocket":
        yield f"    async def {method.name}(self, request: Any) -> Any: ..."
    elif decorator == "publish":
        given = _parameters(method.node)
        yield f"    def {method.name}(self{given}) -> dict[str, Any]: ..."
    else:
        yield f"    async def {method.name}(self{_parameters(method.node)}) -> Any: ..."


def _subscription(client: OldClass, method: Method) -> Iterator[str]:
    if method.decorator in ("subscribe", "xsubscribe"):
        yield ""
        topic = f'"{client.name or "name"}.{method.name}", version="{client.version or "1"}"'
        yield f"    @{method.decorator}({topic})"
        yield f"    async def {method.name}(self, event: dict[str, Any]) -> None: ..."


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    plain = node.args.args[1:]
    defaults = [None] * (len(plain) - len(node.args.defaults)) + list(node.args.defaults)
    found = [
        f"{each.arg}: {ast.unparse(each.annotation) if each.annotation else 'Any'}"
        + (f" = {ast.unparse(default)}" if default is not None else "")
        for each, default in zip(plain, defaults, strict=True)
        if each.arg not in OLD_PARAMETERS
    ]
    return "".join(f", {each}" for each in found)
