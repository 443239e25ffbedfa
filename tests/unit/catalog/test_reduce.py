"""The registry's rules, one by one."""

import pytest

from vyked_host.catalog import query
from vyked_host.catalog.reduce import reduce
from vyked_host.catalog.state import Announced, Granted, Lost, Refused, Renewed, State, Swept, Told, Updated, Withdrawn
from vyked_host.contracts import Generation, Instance, NodeRecord


def record(node_id="a", *services, namespace="m"):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in services)
    return NodeRecord(node_id=node_id, namespace=namespace, addresses=(), instances=instances)


def after(*steps, lease_s=15.0):
    state = State(namespace="m", epoch=7, lease_s=lease_s)
    for now, step in steps:
        state, _ = reduce(state, step, now)
    return state


def test_the_first_announcement_is_granted_and_told():
    state, (granted, told) = reduce(State(namespace="m", epoch=7), Announced(record=record()), 100.0)
    assert granted == Granted(node_id="a", generation=Generation(epoch=7, counter=1), expires_at=115.0)
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
        assert again is state
        assert isinstance(refused, Refused)


def test_a_generation_of_another_epoch_never_counts():
    state = after((0, Announced(record=record())))
    _, (refused,) = reduce(state, Renewed(node_id="a", generation=Generation(epoch=8, counter=1)), 1.0)
    assert "announce again" in refused.reason


def test_an_update_without_a_change_is_a_sign_of_life_and_tells_nobody():
    state = after((0, Announced(record=record())))
    state, effects = reduce(state, Updated(generation=Generation(epoch=7, counter=1), record=record()), 10.0)
    assert [type(effect) for effect in effects] == [Granted]
    assert state.entries["a"].expires_at == 25.0
    assert state.revision == 1


def test_a_node_can_not_leave_its_mesh_by_an_update():
    state = after((0, Announced(record=record())))
    again, (refused,) = reduce(
        state, Updated(generation=Generation(epoch=7, counter=1), record=record(namespace="x")), 1.0
    )
    assert again is state
    assert "'m'" in refused.reason


@pytest.mark.parametrize(("now", "gone"), [(14.999, False), (15.0, True)])
def test_a_lease_ends_at_its_time_and_never_earlier(now, gone):
    state = after((0, Announced(record=record())), (now - 0.5, Swept(interval=1.0)))
    assert (query.nodes(state, now) == ()) is gone
    state, effects = reduce(state, Swept(interval=1.0), now)
    assert bool(effects) is gone
    assert ("a" in state.entries) is not gone


def test_a_sweep_tells_the_holder_and_the_watchers():
    state = after((0, Announced(record=record("a"))), (0, Announced(record=record("b"))), (14.9, Swept(interval=1.0)))
    _, effects = reduce(state, Swept(interval=1.0), 15.1)
    assert [type(effect) for effect in effects] == [Lost, Lost, Told]
    assert effects[-1].change.gone == ("a", "b")


def test_a_registry_that_was_held_up_ends_no_lease_until_it_is_on_time_again():
    state = after((0, Announced(record=record())), (1, Swept(interval=1.0)))
    state, effects = reduce(state, Swept(interval=1.0), 60.0)
    assert effects == ()
    state, _ = reduce(state, Renewed(node_id="a", generation=Generation(epoch=7, counter=1)), 60.1)
    state, effects = reduce(state, Swept(interval=1.0), 61.0)
    assert effects == ()
    assert query.nodes(state, 61.0) == (record(),)


def test_generations_are_never_used_again():
    state = after((0, Announced(record=record())))
    state, _ = reduce(state, Withdrawn(node_id="a", generation=Generation(epoch=7, counter=1)), 1.0)
    assert state.entries == {}
    _, (granted, _) = reduce(state, Announced(record=record()), 2.0)
    assert granted.generation.counter == 2


def test_a_look_up_leaves_no_trace_and_what_is_empty_is_absent():
    state = after((0, Announced(record=record("a", "shop"))))
    known = query.nodes(state, 1.0)
    assert query.serving(known, "nobody", None) == ()
    assert query.services(known) == {"shop": ("a/shop",)}
    assert query.services([record("b")]) == {}
