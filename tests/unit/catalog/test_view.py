"""What a watcher knows: deltas, snapshots, epochs, and the warm-up after a registry that started anew."""

from vyked_host.catalog.view import View, forget, merge
from vyked_host.contracts import Change, Generation, NodeRecord

WARM_UP_S = 15.0


def change(epoch, revision, *node_ids, snapshot=False, gone=(), **doubts):
    nodes = tuple(
        (Generation(epoch=epoch, counter=1), NodeRecord(node_id=each, namespace="m", addresses=(), instances=()))
        for each in node_ids
    )
    return Change(epoch=epoch, revision=revision, snapshot=snapshot, nodes=nodes, gone=gone, doubts=doubts)


def seen(*changes, now=0.0, view=None):
    view = view or View()
    for each in changes:
        view = merge(view, each, now, WARM_UP_S)
    return view


def known(view):
    return {node_id: each.doubt for node_id, each in view.nodes.items()}


def test_a_snapshot_and_deltas_in_order_give_what_the_registry_knows():
    view = seen(change(1, 3, "a", "b", snapshot=True, a="suspect"), change(1, 4, "c", gone=("b",)), change(1, 5, "a"))
    assert known(view) == {"a": None, "c": None}
    assert view.revision == 5


def test_what_is_told_twice_or_late_changes_nothing():
    view = seen(change(1, 3, "a", snapshot=True), change(1, 4, gone=("a",)))
    assert merge(view, change(1, 4, "a"), 1.0, WARM_UP_S) is view
    assert merge(view, change(1, 2, "a", snapshot=True), 1.0, WARM_UP_S) is view


def test_a_delta_without_its_snapshot_says_nothing():
    view = seen(change(1, 3, "a", snapshot=True))
    assert merge(view, change(2, 9, "b"), 1.0, WARM_UP_S) is view


def test_an_epoch_that_is_over_is_never_heard_again():
    view = seen(change(1, 9, "a", snapshot=True), change(2, 0, "b", snapshot=True))
    assert merge(view, change(1, 10, "c", snapshot=True), 1.0, WARM_UP_S) is view


def test_a_registry_that_starts_empty_takes_nobody_away_until_the_warm_up_is_over():
    view = seen(change(1, 9, "a", "b", "c", snapshot=True, c="down"))
    view = seen(change(2, 0, snapshot=True), change(2, 1, "a"), now=100.0, view=view)
    assert known(view) == {"a": None, "b": "suspect", "c": "down"}
    assert view.forgets_at == 115.0
    assert forget(view, 114.9) is view
    assert known(forget(view, 115.0)) == {"a": None}


def test_nobody_is_taken_away_while_those_of_before_are_still_coming_back():
    """Many hosts on a slow machine need longer than the warm-up to be all told again."""
    view = seen(change(1, 9, "a", "b", "c", "d", snapshot=True, d="down"), change(2, 0, snapshot=True))
    view = seen(change(2, 1, "a"), now=10.0, view=view)
    assert known(forget(view, 15.0)) == {"a": None, "b": "suspect", "c": "suspect"}  # but for who was down before
    view = seen(change(2, 2, "b"), now=20.0, view=view)
    assert known(forget(view, 34.9)) == {"a": None, "b": None, "c": "suspect"}
    view = seen(change(2, 3, "a", "new"), now=34.0, view=view)  # none of those that are missed: it delays nothing
    assert known(forget(view, 35.0)) == {"a": None, "b": None, "new": None}


def test_a_new_epoch_may_know_that_somebody_of_the_old_one_is_down():
    view = seen(change(1, 9, "a", "b", snapshot=True), change(2, 0, snapshot=True, a="down"))
    assert known(view) == {"a": "down", "b": "suspect"}


def test_who_is_told_gone_in_the_new_epoch_goes_at_once():
    view = seen(change(1, 9, "a", "b", snapshot=True), change(2, 0, snapshot=True, gone=("a",)))
    assert known(view) == {"b": "suspect"}


def test_a_second_snapshot_of_the_new_epoch_ends_no_warm_up():
    view = seen(change(1, 9, "a", snapshot=True), change(2, 0, snapshot=True), change(2, 1, "b", snapshot=True))
    assert known(view) == {"a": "suspect", "b": None}


def test_records_leave_out_what_is_doubted():
    view = seen(change(1, 1, "a", "b", "c", snapshot=True, b="suspect", c="down"))
    assert set(view.records(without=["down"])) == {"a", "b"}
    assert set(view.records()) == {"a", "b", "c"}
