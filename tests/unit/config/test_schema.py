"""config schema and config explain."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from vyked_host import loading
from vyked_host.cli.config import own_providers
from vyked_host.config import reference
from vyked_host.config.explain import as_text, explain
from vyked_host.config.schema import SchemaOfFile
from vyked_host.errors import UsageError


@pytest.fixture
def catalogue():
    return loading.load(environ={})


@pytest.fixture
def schema(catalogue):
    return SchemaOfFile(catalogue).document()


def faults(schema, document) -> list[str]:
    return [".".join(map(str, error.absolute_path)) for error in Draft202012Validator(schema).iter_errors(document)]


def test_the_schema_is_one(schema):
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"host": {"drain_timeout": "${DRAIN:-3}", "debug": True}},
        {"limits": {"message": "1MiB", "in_flight": "none", "hello": 3}},
        {"registry": {"use": "embedded", "embedded": {"address": "127.0.0.1:4500"}}},
        {"transports": {"tcp": {"port": 1}, "second": {"use": "tcp", "port": "${PORT}"}}},
        {"services": {"shop": {"use": "shop:Shop", "options": {"a": 1}, "arguments": ["a"]}}},
        {"clients": {"default": {"balancer": "hash"}, "shop": {"balancer": {"use": "random"}}}},
        {"middleware": {"server": ["logging", {"use": "logging"}]}},
    ],
)
def test_it_accepts_what_the_host_accepts(schema, document):
    assert faults(schema, document) == []


@pytest.mark.parametrize(
    "document",
    [
        {"hots": {}},
        {"host": {"drain_timeout": "long"}},
        {"host": {"nmae": "x"}},
        {"limits": {"message": 0}},
        {"limits": {"message": "a lot"}},
        {"registry": {"embedded": {"adress": "x"}}},
        {"transports": {"tcp": {"prot": 1}}},
        {"transports": {"second": {"port": 1}}},
        {"middleware": {"server": "logging"}},
    ],
)
def test_it_refuses_what_the_host_refuses(schema, document):
    assert faults(schema, document)


def test_a_broken_plugin_is_left_out_and_named(catalogue):
    for entry in catalogue.entries:
        if entry.path == "transport.tcp":
            entry.fail("it is ill")
    composed = SchemaOfFile(catalogue)
    catalogue.names = lambda kind: ("tcp",) if kind == "transport" else ()
    composed.document()
    assert any("transport.tcp" in line for line in composed.missing)


def test_the_reference_is_current(catalogue):
    page = Path(__file__).parents[3] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == reference.markdown(own_providers(catalogue)), (
        "run: vyked-host config schema -o markdown > docs/configuration.md"
    )


# ---- explain ------------------------------------------------------------------------------------------------------------
def explained(catalogue, loaded, *path: str):
    return explain(loaded, path, catalogue, lambda kind, name: catalogue.find(kind, name).dist)


def test_a_key_of_a_plugin_is_explained(catalogue, load):
    found = explained(catalogue, load("[transports.tcp]\nport = 4510\n"), "transports", "tcp", "port")
    assert found.owner == "vyked-host"
    assert found.expected == "an integer from 0 to 65535"
    assert found.value == 4510
    assert found.origin.endswith(":2")
    assert "4510" in as_text(found)


def test_a_key_of_a_plugin_that_the_file_does_not_use_is_explained(catalogue, load):
    found = explained(catalogue, load("[transports.tcp]\n"), "registry", "static", "nodes")
    assert found.owner == "vyked-host"
    assert "not set" in as_text(found)


def test_a_key_of_the_host_is_explained(catalogue, load):
    found = explained(catalogue, load("[transports.tcp]\n"), "limits", "message")
    assert (found.default, found.value, found.origin) == (1 << 20, 1 << 20, "default")


def test_a_key_of_a_service_is_explained(catalogue, shop):
    loaded = shop('[transports.tcp]\n[services.shop]\nuse = "broken_shop:Shop"\n')
    found = explained(catalogue, loaded, "services", "shop", "options", "tries")
    assert (found.owner, found.expected, found.default) == ("service shop", "an integer from 1 to 9", 3)


def test_a_table_lists_its_keys(catalogue, load):
    found = explained(catalogue, load("[transports.tcp]\n"), "transports", "tcp")
    assert {"use", "host", "port"} <= set(found.keys)


@pytest.mark.parametrize(
    "path", [("limits", "mesage"), ("nope",), ("transports", "tcp", "prot"), ("limits", "message", "x")]
)
def test_a_key_that_is_not_there_is_a_usage_error_that_says_what_is(catalogue, load, path):
    with pytest.raises(UsageError, match="there is no key"):
        explained(catalogue, load("[transports.tcp]\n"), *path)
