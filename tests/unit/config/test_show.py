"""config show."""

import json
import tomllib

import pytest

from vyked_host.config import render
from vyked_host.errors import ConfigError, VykedError

TEXT = """\
[host]
labels = { zone = "${ZONE:-a}", rack = "${RACK}", "odd.key" = "$${x}" }
drain_timeout = "${DRAIN}"
[transports.tcp]
port = 4510
[services.shop]
use = "broken_shop:Shop"
options.greeting = "${file:broken_inside.py}"
[clients.default]
timeout = "${TIMEOUT}"
balancer = "hash"
[clients.other]
prefer_local = false
[limits]
message = "2MiB"
[middleware]
server = ["logging", { use = "logging" }]
"""
ENVIRON = {"RACK": "r1", "DRAIN": "7", "TIMEOUT": "3"}


@pytest.fixture
def loaded(shop):
    found = shop(TEXT, "host.name=flagged", **ENVIRON)
    found.require()
    return found


def rows(text: str) -> dict[str, str]:
    return {line.split("  ")[0].strip(): " ".join(line.split()[1:]) for line in text.splitlines()}


def test_every_value_has_an_origin(loaded):
    file = loaded.file
    found = rows(render.as_text(loaded, origin=True))
    assert found["host.name"] == '"flagged" --set host.name=flagged'
    assert found["host.labels.rack"] == f'"r1" env RACK ({file}:2)'
    assert found["host.labels.zone"] == f'"a" {file}:2'
    assert found["host.drain_timeout"] == f"7.0 env DRAIN ({file}:3)"
    assert found["transports.tcp.port"] == f"4510 {file}:5"
    assert found["transports.tcp.host"] == '"127.0.0.1" default'
    assert found["clients.other.timeout"] == f"3.0 env TIMEOUT ({file}:10)"
    assert found["services.shop.options.tries"] == "3 default"
    assert found["limits.message"] == f"2097152 {file}:15"


def test_json_says_the_same(loaded):
    found = json.loads(render.as_json(loaded, origin=True))
    assert found["transports.tcp.port"] == {"value": 4510, "origin": f"{loaded.file}:5"}
    assert json.loads(render.as_json(loaded, origin=False))["transports"]["tcp"]["port"] == 4510


def test_the_toml_form_is_a_file_that_means_the_same(loaded, shop):
    text = render.as_toml(loaded)
    again = shop(text, **ENVIRON)
    again.require()
    assert again.plain == loaded.plain


def test_arrays_in_options_are_shown_item_by_item_and_written_as_toml(shop):
    found = shop(
        '[transports.http]\ncors = { origins = ["${ORIGIN}", "https://b.example"] }\n', ORIGIN="https://a.example"
    )
    found.require()
    assert rows(render.as_text(found, origin=True))["transports.http.cors.origins[0]"].startswith(
        '"https://a.example" env'
    )
    written = tomllib.loads(render.as_toml(found))
    assert written["transports"]["http"]["cors"]["origins"] == ["${ORIGIN}", "https://b.example"]


def test_references_stay_references_in_toml(loaded):
    found = tomllib.loads(render.as_toml(loaded))
    assert found["host"]["drain_timeout"] == "${DRAIN}"
    assert found["host"]["labels"] == {"zone": "${ZONE:-a}", "rack": "${RACK}", "odd.key": "$${x}"}
    assert found["services"]["shop"]["options"]["greeting"] == "${file:broken_inside.py}"
    assert found["clients"]["other"]["timeout"] == "${TIMEOUT}"


@pytest.mark.parametrize("form", [render.as_text, render.as_json])
def test_secrets_are_not_shown(shop, form):
    text = (
        '[transports.tcp]\n[host.labels]\na = "${DB_PASSWORD}"\ntoken = "literal-token"\n'
        'url = "redis://me:pass-in-url@db"\nb = "${file:broken_inside.py}"\n'
    )
    shown = form(shop(text, DB_PASSWORD="from-env"), origin=False)
    assert "${DB_PASSWORD}" in shown
    assert "redis://me:***@db" in shown
    for secret in ("from-env", "literal-token", "pass-in-url", "no_such_module_inside"):
        assert secret not in shown


def test_what_the_writer_would_corrupt_is_refused(load):
    loaded = load('[transports.tcp]\n[host]\nlabels = { path = "C:\\\\x" }\n')
    loaded.require()
    with pytest.raises(VykedError, match=r"host\.labels\.path"):
        render.as_toml(loaded)


def test_a_wrong_file_raises_with_all_its_problems(load):
    with pytest.raises(ConfigError, match="2 errors in ") as caught:
        load("[host]\nname = 1\ndebug = 1\n[transports.tcp]\n").require()
    assert len(caught.value.problems) == 2
