"""A reader's judgement: silence by its own clock, generations fence, removal is asked for and only the server's word counts."""

from dataclasses import dataclass, field

import pytest

from vyked_host.catalog.sightings import Departing, Sightings
from vyked_host.catalog.state import Rules
from vyked_host.model.topology import Instance, NodeRecord

RULES = Rules(heartbeat_s=1.0, lease_s=3.0, gone_after_s=1.0, sweep_s=0.2)
H = RULES.heartbeat_s


def record(node_id, *services, namespace="m"):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in services)
    return NodeRecord(node_id=node_id, namespace=namespace, addresses=(), instances=instances)


@dataclass
class Scene:
    """Nodes that beat, and a reader whose time is moved by hand."""

    reader: Sightings = field(default_factory=lambda: Sightings("m", RULES))
    now: float = 100.0
    mark: int = 0
    changes: list = field(default_factory=list)
    departing: tuple = ()

    def __post_init__(self):
        self.reader.begin(7, self.now)

    def beat(self, node_id, counter=1, life=1, services=("shop",)):
        self.mark += 1
        self.changes += self.reader.seen(
            record(node_id, *services), life=life, counter=counter, mark=self.mark, now=self.now
        )

    def pass_time(self, seconds, *alive):
        """Sweeps as they come; `alive` beat every heartbeat."""
        steps = round(seconds / RULES.sweep_s)
        for at in range(1, steps + 1):
            self.now += RULES.sweep_s
            if at % 5 == 0:
                for each in alive:
                    self.beat(each)
            told, self.departing = self.reader.sweep(self.now)
            self.changes += told

    @property
    def known(self):
        return {node_id: each.doubt for node_id, each in self.reader.state.shown.items()}


@pytest.fixture
def scene():
    scene = Scene()
    for each in ("a", "b", "c"):
        scene.beat(each)
    return scene


def test_who_beats_is_well_and_costs_no_change(scene):
    told = len(scene.changes)
    scene.pass_time(10 * H, "a", "b", "c")
    assert scene.known == {"a": None, "b": None, "c": None}
    assert len(scene.changes) == told


def test_who_is_silent_is_suspect_then_may_be_removed_never_before_its_lease(scene):
    scene.pass_time(2.2 * H, "b", "c")
    assert scene.known["a"] == "suspect"
    assert scene.departing == ()
    scene.pass_time(1.0 * H, "b", "c")
    assert scene.departing == (Departing(node_id="a", counter=1, mark=1),)
    assert "a" in scene.known  # until the server says so
    scene.changes += scene.reader.gone(["a"], scene.now)
    assert set(scene.known) == {"b", "c"}
    assert scene.changes[-1].gone == ("a",)


def test_a_sign_of_life_takes_the_doubt_back(scene):
    scene.pass_time(2.4 * H, "b", "c")
    scene.beat("a")
    assert scene.known["a"] is None


def test_the_same_beat_read_again_is_no_sign_of_life(scene):
    scene.pass_time(2.4 * H, "b", "c")
    scene.changes += scene.reader.seen(record("a", "shop"), life=1, counter=1, mark=1, now=scene.now)
    assert scene.known["a"] == "suspect"


def test_who_could_not_hear_judges_from_then_on(scene):
    scene.now += 10 * H
    scene.reader.interrupted(scene.now)
    scene.pass_time(1.5 * H)
    assert scene.known == {"a": None, "b": None, "c": None}
    assert scene.departing == ()


def test_who_was_not_heard_since_this_reader_is_back_is_cut_off_not_dead(scene):
    scene.reader.interrupted(scene.now)
    scene.beat("b")
    assert scene.reader.down("a", 1, scene.now) == ()  # its way back may take longer than ours
    scene.changes += scene.reader.down("b", 1, scene.now)
    assert scene.known == {"a": None, "b": "down", "c": None}
    scene.beat("a")
    scene.reader.down("a", 1, scene.now)
    assert scene.known["a"] == "down"


def test_where_many_are_silent_the_fault_is_taken_to_lie_here(scene):
    scene.pass_time(8 * H, "c")
    assert scene.departing == ()
    assert scene.known["a"] == scene.known["b"] == "suspect"


def test_a_lost_connection_is_down_at_once_and_may_be_removed_after_the_grace(scene):
    scene.pass_time(1 * H, "a", "b", "c")
    scene.changes += scene.reader.down("a", 1, scene.now)
    assert scene.known["a"] == "down"
    scene.pass_time(1.2 * H, "b", "c")
    assert [each.node_id for each in scene.departing] == ["a"]


def test_a_lost_connection_of_a_life_that_is_over_means_nothing(scene):
    scene.beat("a", counter=9)
    assert scene.reader.down("a", 1, scene.now) == ()
    assert scene.known["a"] is None


def test_who_is_back_after_its_connection_was_lost_is_well(scene):
    scene.pass_time(1 * H, "a", "b", "c")
    scene.reader.down("a", 1, scene.now)
    scene.beat("a")
    assert scene.known["a"] is None
    scene.pass_time(4 * H, "a", "b", "c")
    assert scene.departing == ()


def test_a_new_life_takes_the_place_of_the_old_one(scene):
    scene.beat("a", counter=5, life=2)
    generation, _ = scene.changes[-1].nodes[0]
    assert (generation.epoch, generation.counter) == (7, 5)


def test_a_changed_record_is_told_and_that_of_another_mesh_is_not(scene):
    scene.beat("a", services=("shop", "cart"))
    assert len(scene.changes[-1].nodes[0][1].instances) == 2
    assert scene.reader.seen(record("x", namespace="other"), life=1, counter=1, mark=99, now=scene.now) == ()


def test_who_was_never_known_can_not_go(scene):
    assert scene.reader.gone(["nobody"], scene.now) == ()


def test_removals_for_silence_are_counted_so_that_not_all_go_at_once():
    scene = Scene()
    nodes = [f"n{at}" for at in range(10)]
    for each in nodes:
        scene.beat(each)
    scene.pass_time(3.2 * H, *nodes[1:])
    assert [each.node_id for each in scene.departing] == ["n0"]
    scene.reader.gone(["n0"], scene.now)
    scene.pass_time(0.4, *nodes[1:])
    assert scene.reader.state.silenced
