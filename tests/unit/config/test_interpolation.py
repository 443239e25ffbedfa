"""References in strings."""

import pytest

from vyked_host.config.findings import Findings
from vyked_host.config.interpolation import Interpolation


@pytest.fixture
def fill(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "open").write_text("s3cret\n")
    (tmp_path / "open").chmod(0o644)

    def filled(text, **environ):
        findings = Findings()
        return Interpolation(environ, str(tmp_path), findings).apply({"key": text})["key"], findings.faults

    return filled


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("${A}", {"A": ""}, ""),
        ("a ${A}-${B}", {"A": "x", "B": "y"}, "a x-y"),
        ("${A:-b}", {}, "b"),
        ("${A:-b}", {"A": ""}, "b"),
        ("${A:-}", {}, ""),
        ("${A:-http://x:1/?q}", {}, "http://x:1/?q"),
        ("${A:?must}", {"A": "x"}, "x"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A {A} $", {"A": "x"}, "$A {A} $"),
        ("${A}", {"A": "${B}"}, "${B}"),  # what comes in is not read again
        ("${file:secret}", {}, "s3cret"),
    ],
)
def test_a_reference_stands_for(fill, text, environ, value):
    assert fill(text, **environ) == (value, [])


@pytest.mark.parametrize(
    "text", ["${A}", "${A:?}", "${A:?why}", "${A", "${}", "${1A}", "${A-b}", "${file:nope}", "${file:.}", "${file:\0}"]
)
def test_what_can_not_be_had_is_a_fault(fill, text):
    assert len(fill(text)[1]) == 1


def test_a_file_that_everybody_can_read_is_warned_of_and_used(fill):
    value, [fault] = fill("${file:open}")
    assert (value, fault.severity, fault.remedy) == ("s3cret", "warning", "if it is a secret: chmod o-r open")


def test_only_values_are_read_and_only_strings(fill):
    document = {"${A}": 1, "list": ["${A}", {"x": "${A}"}], "n": 3}
    reading = Interpolation({"A": "x"}, ".", Findings())
    assert reading.apply(document) == {"${A}": 1, "list": ["x", {"x": "x"}], "n": 3}
    assert set(reading.written) == {("list", 0), ("list", 1, "x")}


def test_a_number_may_come_from_the_environment(load):
    text = '[transports.tcp]\nport = "${PORT}"\n[host]\ndebug = "${DEBUG:-true}"\ndrain_timeout = "${DRAIN}"\n'
    settings = load(text, PORT="5001", DRAIN="2.5").require()
    assert settings.transports["tcp"].options.port == 5001
    assert settings.host.debug is True
    assert settings.host.drain_timeout == 2.5


def test_a_string_stays_a_string(load):
    assert load('[host]\nname = "${NAME}"', NAME="007").require().host.name == "007"


def test_a_written_string_is_no_number(load):
    assert load('[transports.tcp]\nport = "5001"').errors


def test_a_value_that_does_not_fit_is_not_shown(load):
    problem = load('[transports.tcp]\nport = "${PORT}"\n', PORT="hunter2").errors[0]
    assert "hunter2" not in problem.sentence
    assert "${PORT}" in problem.sentence
