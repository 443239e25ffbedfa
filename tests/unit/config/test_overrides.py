"""--set on the command line."""

import pytest


@pytest.mark.parametrize(
    ("flag", "path", "value"),
    [
        ("host.name=x", ("host", "name"), "x"),
        ("host.drain_timeout=3", ("host", "drain_timeout"), 3.0),
        ("host.debug=true", ("host", "debug"), True),
        ("host.labels.zone=b=c", ("host", "labels", "zone"), "b=c"),
        ('host.labels."a.b"=c', ("host", "labels", "a.b"), "c"),
        ("limits.message=2MiB", ("limits", "message"), 2 << 20),
        ("limits.message=none", ("limits", "message"), "none"),
        ('plugins.disable=["transport.http"]', ("plugins", "disable"), ["transport.http"]),
        ("clients.default.balancer=random", ("clients", "default", "balancer"), "random"),
        ("host.name=", ("host", "name"), ""),
    ],
)
def test_a_flag_replaces_a_value(load, flag, path, value):
    loaded = load("[host]\nname = 'file'\n[transports.tcp]\n", flag)
    assert not loaded.errors
    found = loaded.plain
    for part in path:
        found = found[part]
    assert found == value or (flag == "host.name=" and found)  # an empty name is the folder's
    assert str(loaded.origin(path)) == f"--set {flag}"


def test_one_flag_swaps_a_transport(load):
    settings = load("[transports.inner]\nuse = 'tcp'\n", "transports.inner.use=local").require()
    assert settings.transports["inner"].use == "local"


@pytest.mark.parametrize("flag", ["host", "=3", "a b=3", "host..name=3", "host.name.x=3", "a=1\nb=2"])
def test_a_bad_flag_is_told_as_what_was_typed(load, flag):
    problems = load("[host]\nname = 'x'\n[transports.tcp]\n", flag).errors
    assert problems[0].file == f"--set {flag}"


def test_a_bad_value_is_told_at_the_flag(load):
    problem = load("[host]\ndebug = true\n[transports.tcp]\n", "host.debug=3").errors[0]
    assert problem.place == "--set host.debug=3"
    assert "expected true or false, got 3" in problem.message
