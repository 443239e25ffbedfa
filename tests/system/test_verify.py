"""`vyked-host plugins verify`: what it says of a plugin that passes, of one that fails, and when it can't run."""

import json
import subprocess
import sys

import pytest

from vyked_host.cli.verify import _row
from vyked_host.errors import StartError
from vyked_host.testing.conformance import cases
from vyked_host.testing.verifying import installed
from vyked_host.testing.verifying.claims import claim
from vyked_host.testing.verifying.matrix import matrix
from vyked_host.testing.verifying.verdicts import Case, Verdicts

from .program import command


def verify(*words, folder, **more):
    return command("plugins", "verify", *words, folder=folder, within=100, **more)


def test_a_plugin_that_passes_gets_its_matrix(tmp_path):
    code, out, err = verify("balancer.hash", folder=tmp_path)
    assert (code, err) == (0, "")
    words = [line.split()[:3] for line in out.splitlines()]
    assert ["contract", "passed", "7"] in words
    assert ["ObservesOutcomes", "not", "declared"] in words
    assert ["packaging", "passed", "6"] in words
    assert "chooses one of those it may" in out


def test_each_row_says_what_was_asserted_how_often_and_with_which_result(tmp_path):
    code, out, _ = verify("transport.http", folder=tmp_path)
    assert code == 0, out
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert rows["cancels"].split()[1:3] == ["passed", "2"]
    assert rows["cancels"].endswith("who gives up ends the handler")
    assert "not declared" in rows["push"]
    assert "the server can speak first" in rows["push"]


def test_a_case_that_fails_is_told_with_its_reason_and_place_and_the_exit_code_is_1(tmp_path):
    code, out, _ = verify("transport.tcp", "--set", "host=203.0.113.1", "-o", "json", folder=tmp_path)
    assert code == 1
    (found,) = json.loads(out)
    assert found["rows"][0]["verdict"] == "failed"
    failed = [case for case in found["cases"] if case["verdict"] == "failed"]
    assert "203.0.113.1" in failed[0]["why"]
    assert ":" in failed[0]["where"]


def test_a_name_that_nobody_has_is_told_with_those_that_there_are(tmp_path):
    code, _, err = verify("natz", folder=tmp_path)
    assert code == 2
    assert "no plugin or service 'natz' is installed; installed: balancer.ewma" in err


def test_a_service_is_no_plugin(tmp_path):
    code, _, err = verify("identity", folder=tmp_path)
    assert code == 2
    assert "'identity' is a service" in err


@pytest.mark.parametrize(
    ("name", "nobody", "example"),
    [
        ("redis", "redis://127.0.0.1:1", "redis://127.0.0.1:6379/0"),
        ("nats", "nats://127.0.0.1:1", "nats://127.0.0.1:4222"),
    ],
)
def test_a_server_that_is_not_there_is_told_once_and_not_waited_for_in_every_case(tmp_path, name, nobody, example):
    code, _, err = verify(f"pubsub.{name}", "--set", f"url={nobody}", folder=tmp_path)
    assert code == 3
    assert f"{name} can't reach its server" in err
    assert f"start one, and say where it is, as in --set url={example}\n" in err


def test_an_option_that_is_none_is_refused_with_those_that_there_are(tmp_path):
    code, _, err = verify("transport.tcp", "--set", "prot=0", folder=tmp_path)
    assert code == 3
    assert "`prot`" in err
    assert "advertise, host, port, serializer" in err


LEAVES_OPEN = """
import tempfile
from vyked_host.contracts import Provider, hookimpl

class First:
    def update(self, candidates):
        self._first = candidates[0]
    def choose(self, call):
        left = tempfile.TemporaryDirectory()  # kept by the error, and that by pytest
        raise KeyError(left.name)

@hookimpl
def vyked_balancers():
    return [Provider(name="first", summary="the first", build=lambda _options, _env: First())]

@hookimpl
def vyked_phase_changed(host, old, new): ...
"""


def test_what_is_found_open_after_the_last_case_is_a_failure_in_the_matrix_and_not_the_end_of_it(tmp_path):
    (tmp_path / "acme_first.py").write_text(LEAVES_OPEN)
    info = tmp_path / "acme_first-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-first\nVersion: 1.0\nRequires-Dist: vyked-host\n")
    (info / "entry_points.txt").write_text("[vyked_host.plugins]\nbalancer.first = acme_first\n")
    code, out, err = verify("balancer.first", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert (code, err) == (1, ""), out
    assert out.splitlines()[3].split()[:2] == ["contract", "failed"]
    assert "nothing is left open after the last case" in out
    assert "Implicitly cleaning up" in out


WITHOUT_HYPOTHESIS = """
import importlib.util, sys
from vyked_host.cli import main, verify
verify.find_spec = lambda name: None if name == "hypothesis" else importlib.util.find_spec(name)
sys.argv[1:] = ["plugins", "verify", "balancer.hash"]
sys.exit(main())
"""


def test_what_is_missing_is_named_with_how_to_install_it(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT_HYPOTHESIS], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == StartError.exit_code, done.stderr
    assert "the kit needs hypothesis: pip install 'vyked-host[testing]'" in done.stderr


# ---- the matrix ------------------------------------------------------------------------------------------------------
def case(verdict, *about, why=""):
    return Case(name=f"test_{verdict}", about=about, verdict=verdict, why=why)


def rows(*cases, refused=()):
    return {row.guarantee: (row.verdict, row.note) for row in matrix(cases, refused)}


def test_every_guarantee_that_a_case_is_about_and_every_kind_has_its_claim():
    for kind, suite in installed.SUITES.items():
        assert claim(kind, "contract"), kind
        for name in dir(suite):
            for guarantee in cases.of(getattr(suite, name)) if name.startswith("test_") else ():
                assert claim(kind, guarantee), f"{kind}: {guarantee}"


def test_cases_of_each_outcome_are_counted_by_it():
    row = {"guarantee": "replay", "verdict": "failed", "passed": 3, "known": 1, "failed": 2, "claim": "c", "note": ""}
    assert _row(row) == ("replay", "failed", "3 passed, 1 known, 2 failed", "c")


def test_a_known_failure_is_neither_passed_nor_failed():
    found = rows(case("passed", "replay"), case("known failure", "replay", why="no ids before 2.0"))
    assert found["replay"] == ("known failure", "no ids before 2.0")


LOG = """
ERROR    vyked.test:tasks.py:55 task acme looks failed
Traceback (most recent call last):
  File "bus.py", line 187, in look
    self._backlog.add(event)
AttributeError: 'Backlog' object has no attribute 'add'
INFO     vyked.test:bus.py:1 closed
"""


@pytest.mark.parametrize(
    ("log", "more"), [(LOG, "; logged before: AttributeError: 'Backlog' object has no attribute 'add'"), ("", "")]
)
def test_a_case_that_waited_in_vain_for_a_task_that_has_failed_says_with_what(log, more):
    noted = Verdicts()
    noted.pytest_runtest_logreport(
        pytest.TestReport(
            "a::test_b",
            ("a", 1, "b"),
            {},
            "failed",
            "not true within 15 s\n  more",
            "call",
            sections=[("Captured log call", log)],
        )
    )
    (found,) = noted.cases.values()
    assert found.why.splitlines() == [f"not true within 15 s{more}", "  more"]


def test_one_failure_makes_a_row_failed():
    assert rows(case("passed", "replay"), case("failed", "replay"))["replay"][0] == "failed"


def test_what_is_not_declared_says_whether_it_was_refused():
    found = rows(case("not declared", "replay"), case("not declared", "dedupe_s"), refused={"replay"})
    assert found == {"replay": ("not declared", "NotSupported is raised"), "dedupe_s": ("not declared", "")}


def test_a_case_of_two_guarantees_is_in_both_rows():
    assert rows(case("passed", "fan_out", "ordered.publisher")).keys() == {"fan_out", "ordered.publisher"}


def test_a_plugin_of_which_nothing_is_asked_has_one_row():
    assert rows(case("left out", why="no other end"), case("left out", "streams", why="no other end")) == {
        "contract": ("left out", "no other end")
    }
