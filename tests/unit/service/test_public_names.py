"""The public face: every name is there, none costs anything before it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vyked_host

ANCESTORS = [
    "Host",
    "TCPService",
    "HTTPService",
    "TCPServiceClient",
    "HTTPServiceClient",
    "api",
    "apideprecated",
    "request",
    "publish",
    "subscribe",
    "xsubscribe",
    "get",
    "post",
    "head",
    "put",
    "patch",
    "delete",
    "options",
    "trace",
    "websocket",
    "Registry",
    "Request",
    "Response",
    "RequestException",
    "VykedServiceException",
    "VykedServiceError",
    "log",
    "setup_logging",
    "__version__",
]


@pytest.mark.parametrize("name", sorted(vyked_host.NAMES))
def test_every_name_of_the_table_is_there(name: str) -> None:
    assert getattr(vyked_host, name) is not None


def test_every_name_of_the_ancestor_is_there() -> None:
    assert set(ANCESTORS) <= set(dir(vyked_host))
    assert callable(vyked_host.log.log)
    assert vyked_host.Request.__module__.startswith("aiohttp.")


def test_the_table_and_what_type_checkers_see_are_the_same() -> None:
    tree = ast.parse(Path(vyked_host.__file__).read_text())
    shown = {each.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names}
    assert shown - {None, "__version__"} == set(vyked_host.NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = vyked_host.nothing


def imported(code: str) -> set[str]:
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(found.stdout.split())


def test_37_importing_the_face_imports_nothing_else() -> None:
    found = imported("import vyked_host")
    assert not {"asyncio", "msgspec", "aiohttp", "pluggy", "vyked_host.service"} & found


def test_a_service_without_http_imports_no_web_framework() -> None:
    found = imported(
        "from vyked_host import Service, TCPService, TCPServiceClient, api, get, client, subscribe, context\n"
        "from vyked_host.service import binding, inspect, clients"
    )
    assert not {"aiohttp", "redis", "pluggy", "rich", "click"} & found
