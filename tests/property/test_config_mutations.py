"""Whatever a file holds: no exception, places that exist, and what is right stays right when it is written back."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vyked_host import config, loading
from vyked_host.config import render
from vyked_host.config.paths import quoted
from vyked_host.errors import VykedError

FOLDER = Path(__file__).parents[1] / "broken" / "files"
HEALTHY = """\
# a comment
[host]
name = "demo"
labels = { zone = "${ZONE:-a}", "ключ" = "日本" }
drain_timeout = 30
debug = false

[plugins]
disable = []

[logging]
level = "info"
levels = { "vyked.shop" = "debug" }
access = "all"

[registry]
use = "embedded"
[registry.embedded]
address = "127.0.0.1:4500"

[transports.tcp]
host = "127.0.0.1"
port = 4502
serializer = "msgpack"
[transports.second]
use = "tcp"
port = 0

[services.shop]
use = "broken_shop:Shop"
transports = ["tcp"]
http_prefix = "/v1"
[services.shop.options]
greeting = '''Hello
you'''
tries = 4

[clients.default]
timeout = 10.5
balancer = "hash"
[clients.shop]
balancer = { use = "random" }

[middleware]
server = ["logging"]

[limits]
message = "1MiB"
in_flight = "none"

[timing]
scale = 1.0
"""
LINES = HEALTHY.splitlines()
KEYS = sorted(set(re.findall(r"(?m)^([a-z_]+) =", HEALTHY)))
VALUES = [
    '"x"', "''", "3", "-1", "0", "1e400", "nan", "inf", "true", "[]", "[[1]]", "{}", '{ use = "x" }', "2026-11-22", "07:32:00",
    '"${X}"', '"${"', '"${file:.}"', '"\\u0000"', '"日本"', "9223372036854775808", "0x10", '["a", 1, {}]', "1979-05-27T07:32:00Z",
]  # fmt: skip

installed = loading.load(environ={})


def told(text: str | bytes, tmp: Path | None = None) -> config.Loaded:
    if isinstance(text, bytes):
        assert tmp is not None
        (tmp / "vyked.toml").write_bytes(text)
        loaded = config.load(str(tmp / "vyked.toml"), environ={}, installed=installed)
    else:
        loaded = config.load(str(FOLDER / "vyked.toml"), text=text, environ={}, installed=installed)
    for form in config.FORMATS.values():
        assert "Traceback" not in form(loaded.problems)
    return loaded


def places_exist(loaded: config.Loaded, text: str) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    for problem in loaded.problems:
        if problem.line:
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def written_back_it_is_the_same(loaded: config.Loaded) -> None:
    if loaded.errors:
        return
    try:
        text = render.as_toml(loaded)
    except VykedError:
        return  # refused, not corrupted
    assert told(text).plain == loaded.plain


def test_the_file_that_is_mutated_is_right():
    loaded = told(HEALTHY)
    assert loaded.problems == ()
    written_back_it_is_the_same(loaded)


many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
spots = st.integers(0, len(HEALTHY.encode()) - 1)


@many
@given(
    st.lists(
        st.tuples(st.sampled_from(["delete", "insert", "swap"]), spots, spots, st.binary(min_size=1, max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_bytes_deleted_inserted_and_swapped(tmp_path, edits):
    data = bytearray(HEALTHY.encode())
    for edit, here, there, more in edits:
        here, there = min(here, len(data) - 1), min(there, len(data) - 1)
        if edit == "delete":
            del data[here : here + len(more)]
        elif edit == "insert":
            data[here:here] = more
        else:
            data[here], data[there] = data[there], data[here]
    loaded = told(bytes(data), tmp_path)
    places_exist(loaded, bytes(data).decode("utf-8-sig", "replace"))


@many
@given(st.permutations(LINES).map("\n".join))
def test_lines_in_any_order(text):
    places_exist(told(text), text)


@many
@given(st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=5))
def test_lines_lost(lost):
    text = "\n".join(line for number, line in enumerate(LINES) if number not in lost)
    loaded = told(text)
    places_exist(loaded, text)
    written_back_it_is_the_same(loaded)


@many
@given(st.sampled_from(KEYS), st.sampled_from([*KEYS, "x", '"a b"', "a.b", "日"]))
def test_keys_renamed(key, other):
    text = re.sub(rf"(?m)^{key} =", f"{other} =", HEALTHY)
    loaded = told(text)
    places_exist(loaded, text)
    written_back_it_is_the_same(loaded)


@many
@given(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), min_size=1, max_size=4))
def test_values_swapped(values):
    text = re.sub(
        r"(?m)^([a-z_]+) = (?!''').*", lambda m: f"{m[1]} = {values.get(m[1], m[0].partition(' = ')[2])}", HEALTHY
    )
    loaded = told(text)
    places_exist(loaded, text)
    written_back_it_is_the_same(loaded)


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@many
@given(
    st.dictionaries(
        st.sampled_from([*config.load(text="", environ={}, installed=installed).plain, "x"]), values, max_size=4
    )
)
def test_any_shape_of_data(document):
    text = "".join(f"{key} = {inline(value)}\n" for key, value in document.items())
    places_exist(told(text), text)


@many
@given(st.text(max_size=60))
def test_any_flag(flag):
    loaded = config.load(text=HEALTHY, overrides=[flag], environ={}, installed=installed)
    for form in config.FORMATS.values():
        form(loaded.problems)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("table", sorted(tomllib.loads(HEALTHY)))
def test_a_table_replaced_by_anything(table, value):
    text = f"{table} = {value}\n"
    places_exist(told(text), text)
