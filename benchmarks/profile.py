"""Where the CPU of a call goes: our server and our client under full load, sampled by py-spy, function by function.

A sample counts for the innermost function of Python; what C does on its behalf (msgspec, uvloop, a system call) is its own, and is
told apart where py-spy can (`--native`). Shares are of the samples of that process in which it used the CPU.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from . import report, rpc
from .echo import Case
from .processes import DidNotStart

RATE_HZ = 200
ROWS = 40
LOOP = "Runner.run"
"""Of asyncio: both processes run their loop in it."""
WAITING = ("epoll", "select", "Condition.wait")
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^():]*)(?::(?P<line>\d+))?\)$")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: `seconds` of full load without a sampler, for the microseconds, then as many with it for each process."""

    in_flight: int = 64
    seconds: float = 8.0
    case: Case = Case()


class Share(msgspec.Struct, kw_only=True):
    """One function: per cent of its process's samples, alone and with what it calls; microseconds per call alone."""

    function: str
    own: float
    whole: float
    own_us: float


def run(settings: Settings) -> report.Report:
    """Measure, print, and return everything. Raises DidNotStart where there is no py-spy."""
    sampler = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if sampler is None:
        raise DidNotStart("py-spy is not installed: pip install py-spy")
    load = rpc.Settings(in_flight=settings.in_flight, seconds=settings.seconds, sequential=100)
    found: dict[str, list[Share]] = {}
    with rpc.serving("vyked", settings.case) as target:
        plain = target.load(load)
        for half, us_per_call in (("server", plain.server_cpu_us), ("client", plain.client_cpu_us)):
            found[half] = shares(_sampled(target, load, half, sampler), us_per_call)
    answer = report.Report("profile", msgspec.to_builtins(settings), found)
    print(answer.heading())
    for half, rows in found.items():
        print(f"\n{half}: {sum(each.own_us for each in rows):.1f} us of CPU per call")
        cells = ((each.function, f"{each.own:.1f}", f"{each.own_us:.2f}", f"{each.whole:.1f}") for each in rows[:ROWS])
        print(report.table(("function", "own %", "own us/call", "with callees %"), cells))
    return answer


def _sampled(target: rpc.Target, load: rpc.Settings, half: str, sampler: str) -> list[str]:
    """The stacks of one half under full load."""
    file = target.folder / half
    words = (
        sampler,
        "record",
        "--native",
        "--rate",
        str(RATE_HZ),
        "--format",
        "raw",
        "--output",
        str(file),
    )
    target.load(load, sampler=(*words, "--duration", str(max(1, round(load.seconds))), "--pid", f"{{{half}}}"))
    return file.read_text().splitlines()


# ---- from stacks to shares -----------------------------------------------------------------------------------------------
def shares(lines: Iterable[str], us_per_call: float) -> list[Share]:
    """The functions of py-spy's raw output, dearest first: each line is a stack, outermost first, and how often it was seen. What a
    running event loop does counts; waiting and importing do not."""
    own, whole, total = Counter[str](), Counter[str](), 0
    for line in lines:
        stack, _, times = line.rpartition(" ")
        frames = stack.split(";")
        if not _counts(frames):
            continue
        names = list(_named(frames))
        total += int(times)
        own[names[-1]] += int(times)
        whole.update(dict.fromkeys(names, int(times)))
    return [
        Share(
            function=name, own=count / total * 100, whole=whole[name] / total * 100, own_us=count / total * us_per_call
        )
        for name, count in own.most_common()
    ]


def _counts(frames: Sequence[str]) -> bool:
    is_running = any(each.startswith(LOOP) for each in frames)
    return is_running and not frames[-1].startswith(WAITING) and not any("<frozen importlib" in each for each in frames)


def _named(frames: Sequence[str]) -> Iterator[str]:
    """Functions of Python as `folder/file.py name`; the C frames on top of one as `... > c_function`."""
    python = ""
    for frame in frames:
        match = _FRAME.match(frame)
        name, file = (match["name"], match["file"]) if match else (frame, "")
        if file.endswith(".py"):
            python = f"{_short(file)} {name}"
            yield python
        else:
            yield f"{python} > {name}" if python else name


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-2:])
