"""The whole file of docs/nats.md, with its service, as a host on a real server."""

import re
import sys
from pathlib import Path

import pytest

from vyked_host import Host
from vyked_host.testing import eventually

PAGE = Path(__file__).parents[3] / "docs" / "nats.md"


@pytest.fixture
def folder(tmp_path, shared, monkeypatch):
    """The two blocks as files."""
    if not PAGE.exists():
        pytest.skip("only in the repository, where the page is")
    text = PAGE.read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "vyked.toml").write_text(toml)
    (tmp_path / "orders.py").write_text(code)
    monkeypatch.setenv("NATS_URL", shared.url)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("orders", None)


async def test_the_file_of_the_docs_runs(folder):
    async with Host(folder / "vyked.toml") as host:
        orders = host.client("orders")
        await orders.pay(number=7)
        while await orders.booked() != [7]:
            pass
        registry = host.node.directory
        await eventually(lambda: len(registry.nodes) == 1)
