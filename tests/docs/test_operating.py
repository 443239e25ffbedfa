"""The page on operating: its commands are run in their order against its two hosts, and answer as it says. What differs from
run to run - ids, times, ports - is compared by its form, and an id that the page quotes again means the same thing again."""

import re
import secrets
import subprocess
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.system.program import PROGRAM, WITHIN_S, Running, environment

from .test_pages import written

PAGE = "docs/operating.md"
TEXT = (Path(__file__).parents[2] / PAGE).read_text()
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORMS = (
    ("EVENT", r"\b[0-9a-f]{32}\b"),
    ("CALL", r"\bshop-[0-9a-f]{8}-\d+"),
    ("NODE", r"\bshop-[0-9a-f]{8}\b"),
    ("LOG", r"(?<=under )[0-9a-f]{8}\b"),
    ("TIME", r"\d\d:\d\d:\d\d\.\d{3}"),
    ("UNIX", r'(?<="at":)[\d.]+'),
    ("SECONDS", r'(?<="seconds":)[\d.]+'),
    (
        "COUNT",
        r"\b\d{1,3}(?:,\d{3})+\b|(?<![\d.])\b\d{1,3}(?=\s+\d+(?:\.\d+)? [mu]?s\b)",
    ),  # calls/s, of a slow machine too
    ("SHARE", r"(?<= )\d+\.\d\d$"),
    ("SPAN", r"\b\d+(?:\.\d+)? (?:us|ms|s)\b"),
    ("AGE", r"\b\d+[smh]\b"),
    ("PORT", r"(?<=127\.0\.0\.1:)\d+"),
)
FORM = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in FORMS))
IDS = ("EVENT", "CALL", "NODE")
PARTS = {"How much does it take?": "bench", "Events": "events", "Dead letters": "events"}
"""Sections whose commands need nothing of those before: they have hosts, and a time, of their own. All others are one part."""
HOSTS = "hosts"


def steps():
    """(part, command, expected lines) of each command of the page."""
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        of = PARTS.get(section.partition("\n")[0], HOSTS)
        for block in CONSOLE.findall(section):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, expected = part.partition("\n")
                yield of, command, expected.splitlines()


def form(line):
    """A line without what differs from run to run, and without the widths of columns."""
    return " ".join(FORM.sub(lambda found: f"<{found.lastgroup}>", line).split())


def ids(line):
    return [found[0] for found in FORM.finditer(line) if found.lastgroup in IDS]


class Session:
    """A person at a terminal who reads the page."""

    def __init__(self, folder):
        self._folder, self._same, self._behind = folder, {}, []

    def _words(self, command):
        for told, true in self._same.items():
            command = command.replace(told, true)
        return [PROGRAM, *command.split()[1:]]

    def run(self, command, expected):
        if command.endswith("&"):
            beside = subprocess.Popen(
                self._words(command.rstrip("& ")), cwd=self._folder, env=environment(), text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._behind.append((command, expected, beside, beside.stdout.readline()))
            return
        done = subprocess.run(
            self._words(command), cwd=self._folder, env=environment(), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=WITHIN_S,
        )  # fmt: skip
        self._compare(command, expected, done.stdout.splitlines())

    def _compare(self, command, expected, found):
        assert [form(line) for line in found] == [form(line) for line in expected], command
        for told, true in zip(expected, found, strict=True):
            self._same.update(zip(ids(told), ids(true), strict=True))

    def end(self):
        for command, expected, beside, first in self._behind:
            rest, _ = beside.communicate(timeout=WITHIN_S)
            self._compare(command, expected, (first + rest).splitlines())


@pytest.fixture
def project(tmp_path):
    """The files of the page, in a mesh that nobody else has."""
    written(PAGE, tmp_path)
    (tmp_path / "test_page.py").unlink(missing_ok=True)
    port = free_port()
    file = tmp_path / "vyked.toml"
    own = f'mesh = "shop-{secrets.token_hex(4)}"'
    file.write_text(
        file.read_text().replace('mesh = "shop"', own) + f'[registry.embedded]\naddress = "127.0.0.1:{port}"\n'
    )
    hosts = [Running(folder=tmp_path) for _ in range(2)]
    for each in hosts:
        each.ready()
    yield tmp_path
    for each in hosts:
        each.kill()


@pytest.mark.parametrize("part", [HOSTS, *sorted({*PARTS.values()})])
def test_every_command_of_the_page_answers_as_it_says(project, part):
    session, its = Session(project), [each for each in steps() if each[0] == part]
    assert its
    for _, command, expected in its:
        session.run(command, expected)
    session.end()


def test_every_command_that_looks_at_a_mesh_is_on_the_page():
    shown = {command.split()[1] for _, command, _ in steps()}
    assert {"ps", "registry", "why", "call", "failures", "tail", "publish", "drain"} <= shown
    assert {"why service", "why call", "why event"} <= {" ".join(command.split()[1:3]) for _, command, _ in steps()}
