"""The registry's rules, one by one."""

import msgspec
import pytest

from vyked_host.catalog import query
from vyked_host.catalog.reduce import reduce
from vyked_host.catalog.state import (
    Announced,
    Disconnected,
    Granted,
    Lost,
    Refused,
    Renewed,
    State,
    Swept,
    Told,
    Updated,
    Withdrawn,
)
from vyked_host.contracts import Generation, Instance, NodeRecord


def record(node_id="a", *services, namespace="m"):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in services)
    return NodeRecord(node_id=node_id, namespace=namespace, addresses=(), instances=instances)


def life(counter=1):
    return Generation(epoch=7, counter=counter)


def after(*steps):
    state = State(namespace="m", epoch=7)
    for now, step in steps:
        state, _ = reduce(state, step, now)
    return state


def test_the_first_announcement_is_granted_and_told():
    state, (granted, told) = reduce(State(namespace="m", epoch=7), Announced(record=record()), 100.0)
    assert granted == Granted(node_id="a", generation=life())
    assert (told.change.revision, told.change.snapshot, told.change.nodes) == (
        1,
        False,
        ((granted.generation, record()),),
    )
    assert query.snapshot(state).nodes == told.change.nodes


def test_a_node_of_another_mesh_is_refused_by_name():
    before = after()
    state, (refused,) = reduce(before, Announced(record=record(namespace="other")), 1.0)
    assert state is before
    assert "'m'" in refused.reason
    assert "'other'" in refused.reason


def test_a_second_announcement_fences_the_first():
    state, (lost, granted, _) = reduce(after((0, Announced(record=record()))), Announced(record=record()), 1.0)
    assert isinstance(lost, Lost)
    assert lost.generation.counter == 1
    assert granted.generation.counter == 2
    for step in (
        Renewed(node_id="a", generation=lost.generation),
        Updated(generation=lost.generation, record=record("a", "x")),
        Withdrawn(node_id="a", generation=lost.generation),
    ):
        again, (refused,) = reduce(state, step, 2.0)
        assert again == msgspec.structs.replace(state, fenced=state.fenced + 1)
        assert isinstance(refused, Refused)
        state = again
    assert state.fenced == 3


def test_a_generation_of_another_epoch_never_counts():
    state = after((0, Announced(record=record())))
    _, (refused,) = reduce(state, Renewed(node_id="a", generation=Generation(epoch=8, counter=1)), 1.0)
    assert "announce again" in refused.reason


def test_an_update_without_a_change_is_a_sign_of_life_and_tells_nobody():
    state = after((0, Announced(record=record())))
    state, effects = reduce(state, Updated(generation=Generation(epoch=7, counter=1), record=record()), 10.0)
    assert [type(effect) for effect in effects] == [Granted]
    assert state.entries["a"].seen_at == 10.0
    assert state.revision == 1


def test_a_node_can_not_leave_its_mesh_by_an_update():
    state = after((0, Announced(record=record())))
    again, (refused,) = reduce(
        state, Updated(generation=Generation(epoch=7, counter=1), record=record(namespace="x")), 1.0
    )
    assert again is state
    assert "'m'" in refused.reason


def swept(state, start, end, step=1.0, chance=0.0):
    """Sweeps from `start` to `end`; (state, told and lost on the way with their times)."""
    now, heard = start, []
    while now <= end:
        state, effects = reduce(state, Swept(interval=step, chance=chance), now)
        heard += [(now, effect) for effect in effects]
        now += step
    return state, heard


def mesh(count, service="shop"):
    return after(*((0, Announced(record=record(f"n{at:02}", service))) for at in range(count)))


def beating(state, now, node_ids):
    for node_id in node_ids:
        state, _ = reduce(state, Renewed(node_id=node_id, generation=state.entries[node_id].generation), now)
    return state


def changes(heard):
    return [(now, effect.change) for now, effect in heard if isinstance(effect, Told)]


# ---- silence -----------------------------------------------------------------------------------------------------------
def test_silence_makes_suspect_after_two_heartbeats_and_ends_the_lease_after_three_never_earlier():
    state, heard = mesh(2), []
    for now in range(1, 18):
        state = beating(state, now, ["n00"])
        state, effects = reduce(state, Swept(interval=1.0), float(now))
        heard += [(now, effect) for effect in effects]
    (suspected, suspicion), (ended, gone) = changes(heard)
    assert (suspected, dict(suspicion.doubts), suspicion.gone) == (11, {"n01": "suspect"}, ())
    assert (ended, gone.gone) == (15, ("n01",))
    assert [effect.node_id for _, effect in heard if isinstance(effect, Lost)] == ["n01"]


def test_a_sign_of_life_clears_a_suspicion_and_that_is_told():
    state, _ = swept(mesh(1), 1.0, 12.0)
    assert query.snapshot(state).doubts == {"n00": "suspect"}
    state, (_, told) = reduce(state, Renewed(node_id="n00", generation=life()), 12.5)
    assert told.change.doubts == {}
    assert told.change.nodes[0][1].node_id == "n00"


def test_the_last_instance_of_a_service_stays_suspect_ten_times_as_long():
    state, heard = swept(mesh(1), 1.0, 149.0)
    assert query.snapshot(state).doubts == {"n00": "suspect"}
    state, heard = swept(state, 150.0, 150.0)
    assert [change.gone for _, change in changes(heard)] == [("n00",)]


def test_one_of_twenty_that_falls_silent_is_removed_and_a_second_one_in_the_next_lease():
    state, heard = mesh(20), []
    well = [f"n{at:02}" for at in range(18)]
    for now in range(1, 40):
        state = beating(state, now, well)
        state, effects = reduce(state, Swept(interval=1.0), float(now))
        heard += [(now, effect) for effect in effects]
    assert [each.node_id for each in query.nodes(state)] == well
    assert {now for now, change in changes(heard) if change.gone} == {15}


def test_where_all_fall_silent_at_once_nobody_is_removed_however_long_it_takes():
    state, heard = swept(mesh(20), 1.0, 200.0)
    assert not any(change.gone for _, change in changes(heard))
    assert state.preserving
    assert len(query.nodes(state)) == 20


def test_beats_that_are_spread_over_their_interval_preserve_all_too():
    state = mesh(20)
    for at in range(20):
        state = beating(state, at * 0.27, [f"n{at:02}"])
    state, heard = swept(state, 6.0, 150.0)
    assert not any(change.gone for _, change in changes(heard))


def test_the_preservation_ends_when_beats_are_back_and_who_stays_silent_for_two_more_goes():
    state, _ = swept(mesh(20), 1.0, 30.0)
    back, heard = [f"n{at:02}" for at in range(19)], []
    for now in range(31, 50):
        state = beating(state, now, back)
        state, effects = reduce(state, Swept(interval=1.0), float(now))
        heard += [(now, effect) for effect in effects]
    assert not state.preserving
    assert [(now, change.gone) for now, change in changes(heard) if change.gone] == [(41, ("n19",))]


def test_the_preservation_of_a_few_ends_too():
    state, _ = swept(mesh(4), 1.0, 30.0)
    back, heard = ["n00", "n01", "n02"], []
    for now in range(31, 50):
        state = beating(state, now, back)
        state, effects = reduce(state, Swept(interval=1.0), float(now))
        heard += [(now, effect) for effect in effects]
    assert not state.preserving
    assert [(now, change.gone) for now, change in changes(heard) if change.gone] == [(41, ("n03",))]


def test_of_two_that_alone_have_a_service_and_fall_silent_one_stays_and_chance_decides_which():
    def removed(chance):
        state = mesh(20)
        for node_id in ("x", "y"):
            state, _ = reduce(state, Announced(record=record(node_id, "rare")), 0.0)
        heard = []
        for now in range(1, 40):
            state = beating(state, now, [f"n{at:02}" for at in range(20)])
            state, effects = reduce(state, Swept(interval=1.0, chance=chance), float(now))
            heard += [effect.node_id for effect in effects if isinstance(effect, Lost)]
        return tuple(heard)

    assert {removed(at / 10) for at in range(10)} == {("x",), ("y",)}


# ---- lost connections --------------------------------------------------------------------------------------------------
def test_a_lost_connection_is_told_at_once_and_removes_after_the_grace():
    state = beating(mesh(1), 4.0, ["n00"])
    state, (told,) = reduce(state, Disconnected(node_id="n00", generation=life()), 5.0)
    assert told.change.doubts == {"n00": "down"}
    state, _ = swept(state, 5.5, 9.5)
    assert "n00" in state.entries
    state, heard = swept(state, 10.0, 10.0)
    assert [change.gone for _, change in changes(heard)] == [("n00",)]
    assert "connection" in heard[0][1].reason


@pytest.mark.parametrize("step", [Renewed(node_id="n00", generation=life()), Announced(record=record("n00", "shop"))])
def test_a_sign_of_life_within_the_grace_clears_it(step):
    state, _ = reduce(beating(mesh(1), 4.0, ["n00"]), Disconnected(node_id="n00", generation=life()), 5.0)
    state, effects = reduce(state, step, 6.0)
    assert effects[-1].change.doubts == {}
    state, _ = swept(state, 7.0, 12.0)
    assert "n00" in state.entries


def test_the_end_of_an_older_life_s_connection_means_nothing():
    state = after((0, Announced(record=record())), (1, Announced(record=record())))
    assert reduce(state, Disconnected(node_id="a", generation=life(1)), 2.0) == (state, ())
    assert state.fenced == 0


def test_a_connection_that_a_ping_found_dead_counts_as_silence_since_all_may_be_cut_off():
    state, _ = swept(mesh(20), 1.0, 9.0)
    for at in range(20):
        state, effects = reduce(state, Disconnected(node_id=f"n{at:02}", generation=life(at + 1)), 9.5)
        assert effects == ()
    state, heard = swept(state, 10.0, 100.0)
    assert not any(change.gone for _, change in changes(heard))


# ---- a registry that was held up ------------------------------------------------------------------------------------------
def test_a_registry_that_was_stopped_removes_nobody_for_a_whole_lease():
    state, _ = swept(mesh(20), 1.0, 2.0)
    state, heard = swept(state, 77.0, 91.0)
    for at in range(20):  # the connections that broke meanwhile end now
        state, _ = reduce(state, Disconnected(node_id=f"n{at:02}", generation=life(at + 1)), 77.1)
    assert not any(change.gone for _, change in changes(heard))
    assert len(state.entries) == 20


def test_beats_that_were_read_late_out_of_connections_that_have_ended_since_make_nobody_look_dead():
    state, _ = swept(mesh(20), 1.0, 2.0)
    for at in range(20):
        node_id = f"n{at:02}"
        state = beating(state, 77.0, [node_id])  # it lay in the socket all the time, before the end of the connection
        state, effects = reduce(state, Disconnected(node_id=node_id, generation=life(at + 1)), 77.0)
        assert effects == ()
    state, heard = swept(state, 77.1, 90.0)
    assert not any(change.gone or "down" in change.doubts.values() for _, change in changes(heard))


def test_a_registry_that_was_held_up_ends_no_lease_until_it_is_on_time_again():
    state = after((0, Announced(record=record())), (1, Swept(interval=1.0)))
    state, effects = reduce(state, Swept(interval=1.0), 11.0)
    assert effects == ()
    state = beating(state, 11.1, ["a"])
    state, heard = swept(state, 12.0, 20.0)
    assert heard == []
    assert query.nodes(state) == (record(),)


# ---- one node id, two processes ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("life_", "taken"), [(1, False), (2, True)])
def test_who_announces_a_node_id_later_has_it_and_the_earlier_hears_whether_that_was_itself(life_, taken):
    state = after((0, Announced(record=record(), life=1)))
    _, (lost, granted, *_) = reduce(state, Announced(record=record(), life=life_), 1.0)
    assert (lost.generation, lost.taken) == (life(1), taken)
    assert ("another process" in lost.reason) is taken
    assert granted.generation == life(2)


# ---- flapping ----------------------------------------------------------------------------------------------------------
def flapping(state, seconds, period):
    """Node "a" goes and comes every `period`; what watchers hear, with times."""
    heard, now, end = [], 1.0, 1.0 + seconds
    while now < end:
        for step in (
            Withdrawn(node_id="a", generation=life(state.counter)),
            Announced(record=record("a", "shop")),
            Swept(interval=1.0),
        ):
            state, effects = reduce(state, step, now)
            heard += [(now, effect) for effect in effects]
            now += period / 3
    return state, heard, now


def test_who_goes_once_and_comes_back_is_told_at_once_both_times():
    state = after((0, Announced(record=record("a", "shop"))))
    state, effects = reduce(state, Withdrawn(node_id="a", generation=life(1)), 1.0)
    assert [effect.change.gone for effect in effects] == [("a",)]
    state, effects = reduce(state, Announced(record=record("a", "shop")), 1.1)
    assert len(effects[-1].change.nodes) == 1


@pytest.mark.parametrize("period", [0.3, 2.0, 6.0])
def test_watchers_hear_of_a_flapping_node_once_a_heartbeat_at_most(period):
    _, heard, _ = flapping(after((0, Announced(record=record("a", "shop")))), 60.0, period)
    times = [now for now, _ in changes(heard)]
    for at, start in enumerate(times):
        for count, end in enumerate(times[at:], 1):
            assert count <= 4 + (end - start) / 5.0  # the first going and coming back are free, a going never waits


def test_after_five_times_it_is_suspect_until_it_was_quiet():
    state, heard, now = flapping(after((0, Announced(record=record("a", "shop")))), 40.0, 6.0)
    assert any(change.doubts == {"a": "suspect"} for _, change in changes(heard))
    generation, quiet = life(state.counter), []
    for at in range(80):
        state, _ = reduce(state, Renewed(node_id="a", generation=generation), now + at)
        state, effects = reduce(state, Swept(interval=1.0), now + at)
        quiet += [(at, effect) for effect in effects]
    assert query.snapshot(state).doubts == {}
    assert query.snapshot(state).nodes == ((generation, record("a", "shop")),)
    assert state.histories == {}


def test_generations_are_never_used_again():
    state = after((0, Announced(record=record())))
    state, _ = reduce(state, Withdrawn(node_id="a", generation=Generation(epoch=7, counter=1)), 1.0)
    assert state.entries == {}
    _, (granted, _) = reduce(state, Announced(record=record()), 2.0)
    assert granted.generation.counter == 2


def test_a_look_up_leaves_no_trace_and_what_is_empty_is_absent():
    state = after((0, Announced(record=record("a", "shop"))))
    known = query.nodes(state)
    assert query.serving(known, "nobody", None) == ()
    assert query.services(known) == {"shop": ("a/shop",)}
    assert query.services([record("b")]) == {}
