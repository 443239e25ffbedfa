"""The fixtures for a whole vyked.toml: the demo of this repository, found above this file, runs beside anything else."""

import pytest

from vyked_host.testing import fixtures
from vyked_host.testing.fixtures import vyked_host, vyked_overrides, vyked_toml  # noqa: F401 - fixtures


async def test_the_whole_file_runs_and_its_services_are_called(vyked_host):  # noqa: F811
    identity = vyked_host.client("identity")
    assert (await identity.create(user_name="ada", password="s3cret"))["user_name"] == "ada"
    assert {each.uri.partition(":")[0] for each in vyked_host.addresses} >= {"tcp", "http"}
    assert not {each.uri.rpartition(":")[2].rstrip("/") for each in vyked_host.addresses} & {"4501", "4502"}


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("", ("transports.tcp.port=0", "transports.http.port=0")),
        ("[transports.tcp]\nport = 4502\n[transports.local]", ("transports.tcp.port=0",)),
        ('[transports.edge]\nuse = "http"', ("transports.edge.port=0",)),
        ('[transports.post]\nuse = "post"\nport = 9', ("transports.post.port=0",)),
    ],
)
def test_whatever_listens_gets_a_free_port(tmp_path, text, ports):
    file = tmp_path / "vyked.toml"
    file.write_text(text)
    assert fixtures.free_ports(file) == ports
