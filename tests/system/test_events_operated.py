"""What operators ask of events: how far groups are behind, what was published since. Hosts in processes of their own, each bus that
keeps events."""

import json

import pytest

from tests.valkey import Valkey

from .test_mesh_commands import Shops, until

SHOP = """
import asyncio
from pathlib import Path
from msgspec import Struct
from vyked_host import Reject, Service, publish, work, xsubscribe


class Sold(Struct, frozen=True):
    what: str


class Shop(Service, name="shop", version="1.2.0"):
    @publish
    def sold(self, what: str) -> Sold:
        return Sold(what)


class Books(Service, name="books", version="1.0.0"):
    @work
    async def print_out(self, job: Sold) -> None:
        with open("printed", "a") as file:
            file.write(f"{job.what}\\n")

    @xsubscribe(Shop.sold, concurrency=2)
    async def note(self, event: Sold) -> None:
        if event.what == "air":
            raise Reject("nobody can own air")
        while not Path("open").exists():
            await asyncio.sleep(0.01)
        with open("books", "a") as file:
            file.write(f"{event.what}\\n")
"""


@pytest.fixture(params=["embedded", "redis-streams"])
def shops(tmp_path, launch, request):
    """A shop whose books take two sales at once, and end none before there is a file called "open"."""
    found = Shops(tmp_path, launch)
    (tmp_path / "shop.py").write_text(SHOP)
    found.bus, server = "", Valkey("appendonly yes")
    if request.param == "kept":
        found.bus = '[pubsub.embedded]\npath = "events.db"\nkeep = 600\n'
    if request.param == "redis-streams":
        found.bus = f'[pubsub]\nuse = "redis-streams"\n[pubsub.redis-streams]\nurl = "{server.start().url}"\n'
    found.write("shop books", found.bus)
    yield found
    server.close()


def published(shops, what, *words):
    code, out, err = shops("publish", "shop.sold", f"what={what}", *words)
    assert code == 0, err
    return json.loads(out)["id"]


def group(shops):
    code, out, err = shops("ps", "-o", "json")
    assert code == 0, err
    (found,) = (each for each in json.loads(out)["groups"] if each["name"] == "sold")
    return found


def test_ps_says_how_far_a_group_is_behind(shops):
    shops.start()
    published(shops, "air")
    assert shops("publish", "shop.sold", "what=tea", "--count", "5")[0] == 0
    seen = []
    until(lambda: seen.append(group(shops)) or (seen[-1]["in_flight"], seen[-1]["dead"]) == (2, 1))
    found = seen[-1]
    assert (found["service"], found["name"], found["major"], found["group"]) == ("shop", "sold", 1, "books@1")
    assert (found["members"], found["waiting"], found["dead"]) == (1, 3, 1)
    assert found["oldest_s"] > 0
    code, out, _ = shops("ps", "-o", "wide")
    (line,) = [line for line in out.splitlines() if " books " in line]
    assert code == 0
    assert " 3+2, " in line
    assert ", 1 dead " in line
    (shops.folder / "open").touch()
    until(lambda: seen.append(group(shops)) or (seen[-1]["waiting"], seen[-1]["in_flight"]) == (0, 0))
    assert seen[-1]["oldest_s"] == 0


def test_a_group_of_which_nobody_runs_is_behind_too(shops):
    shops.write("shop", shops.bus)
    shops.start()  # holds what the mesh has, where that is embedded
    shops.write("books", shops.bus)
    books = shops.start()
    until(lambda: group(shops)["members"] == 1)
    assert books.stop() == 0
    published(shops, "tea")
    until(lambda: group(shops)["waiting"] == 1)


def test_what_is_published_again_under_its_id_comes_once(shops):
    shops.start()
    (shops.folder / "open").touch()
    assert published(shops, "tea", "--id", "order-17") == published(shops, "tea", "--id", "order-17") == "order-17"
    published(shops, "salt", "--id", "order-18")
    until(lambda: "salt" in (shops.folder / "books").read_text() if (shops.folder / "books").exists() else False)
    assert (shops.folder / "books").read_text().split() == ["tea", "salt"]


def tailed(shops, *words):
    code, out, err = shops("tail", "shop.sold", *words)
    assert code == 0, err
    return [(each["id"], each["payload"]["what"]) for each in map(json.loads, out.splitlines())]


@pytest.mark.parametrize("shops", ["kept", "redis-streams"], indirect=True)
def test_what_was_published_since_is_shown_and_then_what_comes(shops):
    shops.start()
    tea, salt = published(shops, "tea"), published(shops, "salt")
    assert tailed(shops, "--from", "10m", "--count", "2") == [(tea, "tea"), (salt, "salt")]
    assert tailed(shops, "--from", tea, "--count", "1") == [(salt, "salt")]
    code, _, err = shops("tail", "shop.sold", "--from", "no-such-event")
    assert code == 2
    assert (
        "--from 'no-such-event' is no time, and no event of shop.sold@1 that is kept still has this id: give the id of an event"
        in err
    )
    assert "Traceback" not in err


@pytest.mark.parametrize("shops", ["embedded"], indirect=True)
def test_a_bus_that_does_not_keep_what_was_published_says_so(shops):
    shops.start()
    code, out, err = shops("tail", "shop.sold", "--from", "10m")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "leave out --from, or let it: [pubsub.embedded] path and keep" in err


def test_a_job_may_be_enqueued_from_the_shell(shops):
    shops.start()
    code, out, err = shops("publish", "books.work-print_out", "what=bill", "--id", "order-17")
    assert (code, json.loads(out)["id"]) == (0, "order-17"), err
    until(lambda: (shops.folder / "printed").exists())
    assert (shops.folder / "printed").read_text() == "bill\n"


@pytest.mark.parametrize("shops", ["embedded"], indirect=True)
def test_a_job_that_its_queue_cannot_read_is_refused_where_it_is_typed(shops):
    shops.start()
    code, out, err = shops("publish", "books.work-print_out", "what:=17", "--count", "3")
    assert (code, out) == (5, "")
    assert err.splitlines()[1:] == ["vyked-host: INVALID_ARGUMENT: books.print_out(what): Expected `str`, got `int`"]
    code, out, err = shops("publish", "books.work-print_out", "whit=bill")
    assert (code, out) == (5, "")
    assert err.endswith("books.print_out: Object missing required field `what`; it takes: what\n")
    code, out, err = shops("dlq", "list", "-o", "json")
    assert (code, json.loads(out)) == (0, []), err


@pytest.mark.parametrize("shops", ["embedded"], indirect=True)
def test_who_cannot_read_an_event_is_named_and_the_event_goes_out(shops):
    shops.start()
    code, out, err = shops("publish", "shop.sold", "what:=17")
    assert (code, "id" in json.loads(out)) == (0, True)
    assert err.splitlines()[1:] == ["vyked-host: it does not fit books.note(what): Expected `str`, got `int`"]
    until(lambda: json.loads(shops("dlq", "list", "-o", "json")[1]))
