"""Results in a file: shared, lasting, and refused where the file is something else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vyked_host.builtin.results.file import APPLICATION, BUSY_S, PRUNED, ResultFile, Step
from vyked_host.builtin.results.options import FileOptions
from vyked_host.builtin.results.sqlite import FileResults
from vyked_host.contracts import Claim, Environment
from vyked_host.errors import StartError, Unavailable
from vyked_host.testing import environment


@pytest.fixture
async def env() -> AsyncIterator[Environment]:
    async with environment() as env:
        yield env


def claims(key: str, now: float = 0.0, until: float = 10.0) -> Step:
    return Step(key, now, until, claim=Claim(token=f"t{key}", digest=b"d"))


async def test_what_is_asked_for_at_once_is_one_transaction(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    store, taken = FileResults(FileOptions(), env), []
    await store.open()
    take = store._file.take
    monkeypatch.setattr(store._file, "take", lambda steps: taken.append(len(steps)) or take(steps))
    claim = Claim(token="t", digest=b"d")
    await asyncio.gather(*(store.claim(f"k{at}", claim, deadline=env.clock.now() + 5) for at in range(100)))
    assert sum(taken) == 100
    assert len(taken) <= 2
    await store.aclose()


async def test_it_is_for_its_owner_only_and_where_the_file_says(env: Environment) -> None:
    store = FileResults(FileOptions(path="deep/results.db"), env)
    await store.open()
    await store.aclose()
    assert stat.S_IMODE(os.stat(f"{env.folder}/deep/results.db").st_mode) == 0o600


async def test_two_that_make_it_at_once_find_one_file(env: Environment) -> None:
    stores = [FileResults(FileOptions(), env) for _ in range(4)]
    assert len(set(await asyncio.gather(*(each.open() for each in stores)))) == 1
    for each in stores:
        await each.aclose()


async def test_one_that_is_being_made_is_waited_for(env: Environment) -> None:
    """SQLite does not wait by itself where one of two has begun to write and the other would have a write-ahead log."""
    path = Path(env.folder, "results.db")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        store = FileResults(FileOptions(path="results.db"), env)
        opening = asyncio.ensure_future(store.open())
        asyncio.get_running_loop().call_later(0.3, other.execute, "COMMIT")
        await opening
    await store.aclose()


async def test_one_that_is_never_made_is_waited_for_no_longer_than_a_transaction(env: Environment) -> None:
    path = Path(env.folder, "results.db")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StartError, match="locked"):
            await FileResults(FileOptions(path="results.db"), env).open()
        assert time.monotonic() - began >= BUSY_S


def write(path: Path, make: str) -> None:
    if make == "text":
        path.write_text("no database at all" * 100)
        return
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE a (b)" if make == "other" else "PRAGMA user_version = 9")
        if make == "later":
            db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.close()


@pytest.mark.parametrize("make", ["text", "other", "later"])
async def test_a_file_of_something_else_is_refused_by_name(env: Environment, make: str) -> None:
    write(Path(env.folder, "results.db"), make)
    with pytest.raises(StartError, match=r"results\.db, can't be used: .*\[results\.sqlite\] path"):
        await FileResults(FileOptions(path="results.db"), env).open()


async def test_a_file_that_can_t_be_written_fails_the_call_and_not_the_host(env: Environment) -> None:
    store = FileResults(FileOptions(), env)
    await store.open()
    with sqlite3.connect(store._path) as db:
        db.execute("DROP TABLE result")
    db.close()
    with pytest.raises(Unavailable, match="can't be written: no such table"):
        await store.claim("k", Claim(token="t", digest=b"d"), deadline=env.clock.now() + 5)
    await store.aclose()


def test_what_lapsed_is_deleted_in_time_and_no_more_is_kept_than_was_asked_for(tmp_path: Path) -> None:
    file = ResultFile(str(tmp_path / "r.db"), most=10)
    file.open()
    for at in range(PRUNED // 2 - 1):
        file.take([claims(f"k{at}", until=5.0), Step(f"k{at}", 0.0, 5.0, f"tk{at}", settles=True, outcome=b"1")])
    file.take([claims("held", now=6.0, until=100.0), *(claims(f"n{at}", now=6.0, until=50.0) for at in range(12))])
    file.take([Step(f"n{at}", 6.0, 50.0 + at, f"tn{at}", settles=True, outcome=b"1") for at in range(12)])
    for _ in range(PRUNED // 2):
        file.take([Step("held", 6.0, 100.0, "theld")])
    file.close()
    with sqlite3.connect(tmp_path / "r.db") as db:
        keys = [key for (key,) in db.execute("SELECT key FROM result")]
    db.close()
    assert sorted(keys) == sorted(["held", *(f"n{at}" for at in range(3, 12))])
