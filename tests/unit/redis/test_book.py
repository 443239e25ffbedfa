"""What a reader makes of its looks: times are its own, whoever counts beats has none."""

import pytest

from vyked_host.builtin.redis.registry.book import Book, Departing
from vyked_host.builtin.redis.registry.sight import Sight, There, sight
from vyked_host.catalog.state import Rules
from vyked_host.contracts import Instance, NodeRecord

H, T, S = 1.0, 3.0, 0.25
RULES = Rules(heartbeat_s=H, lease_s=T, gone_after_s=H, sweep_s=S)


def record(node_id, *services):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in services or ("shop",))
    return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=instances)


class Server:
    """The server as a reader sees it, beats and all; and a reader."""

    def __init__(self, *nodes):
        self.book, self.now = Book("m", RULES), 0.0
        self.epoch, self.revision, self.beats, self.removed = 7, 0, 0, 0
        self.nodes, self.last, self.counter = {}, {}, 0
        self.changed, self.gone = set(), set()
        self.view, self.told = {}, []
        for each in nodes:
            self.announce(each)

    def announce(self, node_id, *services):
        self.counter += 1
        self._there(node_id, counter=self.counter, life=1, record=record(node_id, *services), down=False)
        self.beat(node_id)

    def _there(self, node_id, **there):
        self.nodes[node_id] = There(**there)
        self._change(node_id)

    def _change(self, node_id):
        self.revision += 1
        self.changed.add(node_id)

    def beat(self, *node_ids):
        for node_id in node_ids:
            self.beats += 1
            self.last[node_id] = self.beats

    def cut(self, node_id):
        there = self.nodes[node_id]
        self._there(node_id, counter=there.counter, life=1, record=there.record, down=True)

    def remove(self, departing):
        for each in departing:
            if self.nodes.get(each.node_id) and self.nodes[each.node_id].counter == each.counter:
                del self.nodes[each.node_id]
                self.removed += each.last is not None
                self._change(each.node_id)

    def look(self, *, whole=False):
        mark = self.book.mark(self.now)
        silent = [(each, self.last[each]) for each in sorted(self.nodes) if mark and self.last[each] <= int(mark)]
        whole = whole or self.book.state is None or self.book.state.epoch != self.epoch
        known = self.nodes if whole else self.changed & self.nodes.keys()
        seen = Sight(
            epoch=self.epoch, revision=self.revision, tag="t", beats=self.beats, removed=self.removed, looks="0", whole=whole,
            nodes=tuple(self.nodes[each] for each in sorted(known)), gone=tuple(sorted(self.changed - self.nodes.keys())),
            silent=tuple(silent),
        )  # fmt: skip
        self.changed = set()
        outcome = self.book.take(seen, self.now)
        self.told += outcome.changes
        for change in (self.book.snapshot(),) if outcome.anew else outcome.changes:
            self.view = {} if change.snapshot else self.view
            self.view |= {each.node_id: change.doubts.get(each.node_id) for _, each in change.nodes}
            for node_id in change.gone:
                self.view.pop(node_id, None)
        return outcome

    def passes(self, seconds, *alive):
        """Time in which those beat, the reader looks, and the server removes whom it is asked to; who was removed when."""
        found, until, due = {}, self.now + seconds, self.now + H
        while self.now < until:
            self.now = round(self.now + S, 6)
            if self.now >= due:
                due += H
                self.beat(*(each for each in alive if each in self.nodes))
            outcome = self.look()
            found |= {each.node_id: self.now for each in outcome.departing}
            self.remove(outcome.departing)
        return found


def test_the_first_sight_is_told_as_a_snapshot():
    server = Server("a", "b")
    outcome = server.look()
    assert (outcome.anew, outcome.changes) == (True, ())
    assert server.view == {"a": None, "b": None}


def test_who_beats_stays_for_ever():
    server = Server("a", "b")
    server.look()
    assert server.passes(20 * T, "a", "b") == {}
    assert server.view == {"a": None, "b": None}
    assert server.told == []


def test_who_is_silent_is_suspect_after_two_heartbeats_and_removed_after_the_lease_not_earlier():
    server = Server("a", "b", "c")
    server.look()
    silent_since = server.now
    server.passes(2 * H + 3 * S, "a", "c")
    assert server.view["b"] == "suspect"
    removed = server.passes(2 * T, "a", "c")
    assert set(removed) == {"b"}
    assert T <= removed["b"] - silent_since <= T + 2 * S
    assert server.view == {"a": None, "c": None}


def test_where_many_are_silent_nobody_is_removed_until_they_are_back():
    everybody = [f"n{each}" for each in range(10)]
    server = Server(*everybody)
    server.look()
    assert server.passes(10 * T, *everybody[:5]) == {}
    assert {each for each, doubt in server.view.items() if doubt} == set(everybody[5:])
    server.passes(3 * H, *everybody)
    assert set(server.view.values()) == {None}


def test_no_more_than_one_of_few_is_removed_within_a_lease_whoever_asked_for_it():
    server = Server("a", "b", "c", "d")
    server.look()
    server.passes(T - H, "a", "c", "d")  # b is silent first
    server.removed += 1  # another reader had somebody removed
    server._change("x")
    assert server.passes(2 * H, "a", "c", "d") == {}
    assert set(server.passes(2 * T, "a", "c", "d")) == {"b"}


def test_two_readers_of_one_state_want_the_same_one_removed():
    servers = [Server(*(f"n{each}" for each in range(20))) for _ in range(2)]
    alive = [f"n{each}" for each in range(18)]
    first = []
    for server in servers:
        server.look()
        first.append(sorted(server.passes(T + H, *alive)))
    assert first[0] == first[1]


def test_a_lost_connection_is_told_at_once_and_removes_after_its_grace():
    server = Server("a", "b")
    server.look()
    server.passes(H, "a", "b")
    server.cut("b")
    server.look()
    assert server.view == {"a": None, "b": "down"}
    outcome = server.passes(2 * H, "a")
    assert set(outcome) == {"b"}
    assert server.view == {"a": None}


def test_a_connection_that_ends_after_silence_says_nothing():
    """When a network heals, the ends of all connections through it come at once."""
    everybody = [f"n{each}" for each in range(8)]
    server = Server(*everybody)
    server.look()
    server.passes(5 * T)
    server.beat(*everybody)  # what waited in the network comes first
    for each in everybody:
        server.cut(each)
    server.look()
    assert "down" not in server.view.values()


def test_what_passed_while_the_server_was_away_counts_for_nobody():
    server = Server("a", "b", "c")
    server.look()
    server.passes(H, "a", "b", "c")
    server.book.interrupted()
    server.now += 10 * T  # no look was answered
    server.look()
    assert server.passes(T - S, "a", "b") == {}
    assert set(server.passes(2 * T, "a", "b")) == {"c"}


def test_a_replica_that_heard_fewer_beats_makes_nobody_silent():
    server = Server("a", "b", "c")
    server.look()
    server.passes(2 * H, "a", "b", "c")
    server.beats -= 5
    server.last = dict.fromkeys(server.last, server.beats)
    assert server.passes(H, "a", "b", "c") == {}
    assert "suspect" not in server.view.values()


def test_a_reader_that_was_held_up_waits_for_who_could_not_be_heard():
    server = Server("a", "b", "c")
    server.look()
    server.passes(3 * T, "a", "b", "c")
    server.now += 4 * T
    server.look()
    assert server.passes(H, "a", "b", "c") == {}
    assert set(server.view) == {"a", "b", "c"}


def test_a_new_life_takes_the_place_of_the_old():
    server = Server("a")
    server.look()
    server.announce("a", "cart")
    server.look()
    (change,) = server.told
    ((generation, told),) = change.nodes
    assert (generation.counter, told) == (2, record("a", "cart"))


def test_who_is_missing_where_everything_is_told_is_gone():
    server = Server("a", "b")
    server.look()
    del server.nodes["a"]
    server.look(whole=True)
    assert server.view == {"b": None}


def test_another_epoch_begins_with_a_snapshot():
    server = Server("a", "b")
    server.look()
    server.epoch, server.nodes = 8, {}
    server.announce("c")
    assert server.look().anew
    assert server.view == {"c": None}


def test_a_lost_node_is_asked_to_be_removed_whatever_it_said_last():
    server = Server("a", "b")
    server.look()
    server.cut("b")
    server.look()
    departing = ()
    while not departing and server.now < T:
        server.now += S
        server.beat("a")
        departing = server.look().departing
    assert departing == (Departing(node_id="b", counter=2, last=None),)
    assert H <= server.now <= H + S


@pytest.mark.parametrize("reply", [None, [], [b"x"] * 10, [b"1", 1, b"t", 1, 0, b"0", 1, [b"a"], [], []]])
def test_what_is_no_reply_is_refused(reply):
    with pytest.raises(ValueError, match=r"."):
        sight(reply)


def test_a_record_that_is_none_is_left_out_and_named():
    reply = [b"1", 1, b"t", 1, 0, b"0", 1, [b"a", b"1 2", b"\xc1", 0, b"b", b"x", b"", 0], [], [b"c", b"4"]]
    seen = sight(reply)
    assert seen.nodes == ()
    assert seen.silent == (("c", 4),)
    assert ["'a'" in each or "'b'" in each for each in seen.unread] == [True, True]
