"""What waits for a watch: deltas in order, a snapshot for who is behind, nothing of services that it is not about."""

from vyked_host.catalog.news import BEHIND, News
from vyked_host.model.topology import Change, Generation, Instance, NodeRecord


def node(node_id, *services):
    instances = tuple(Instance(service=each, version="1.0.0", status="active") for each in services)
    return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=instances)


def change(revision, *nodes, snapshot=False, gone=()):
    pairs = tuple((Generation(epoch=1, counter=1), each) for each in nodes)
    return Change(epoch=1, revision=revision, snapshot=snapshot, nodes=pairs, gone=gone)


def test_a_snapshot_comes_first_and_only_when_there_is_one():
    known = []
    news = News(None, lambda: known[-1] if known else None, lambda: None)
    news.tell(change(1, node("a")))
    assert news.take() is None
    known.append(change(1, node("a"), snapshot=True))
    assert news.take() == known[-1]
    news.tell(change(2, node("b")))
    assert news.take() == change(2, node("b"))
    assert news.take() is None


def test_who_is_behind_gets_a_snapshot_instead_of_what_it_missed():
    news = News(None, lambda: change(99, node("z"), snapshot=True), lambda: None)
    news.take()
    for revision in range(2, BEHIND + 4):
        news.tell(change(revision, node("a")))
    assert news.take() == change(99, node("z"), snapshot=True)
    assert news.take() is None


def test_a_watch_of_services_is_told_once_more_of_a_node_that_drops_one():
    news = News(
        frozenset({"shop"}), lambda: change(1, node("a", "shop"), node("b", "cart"), snapshot=True), lambda: None
    )
    assert [each.node_id for _, each in news.take().nodes] == ["a"]
    news.tell(change(2, node("b", "cart")))
    news.tell(change(3, node("a", "cart")))
    news.tell(change(4, node("a", "cart")))
    news.tell(change(5, gone=("a", "b")))
    assert [each.node_id for _, each in news.take().nodes] == ["a"]
    assert news.take() is None


def test_whoever_waits_is_called():
    called = []
    news = News(None, lambda: None, lambda: called.append(True))
    news.tell(change(1))
    news.begin()
    assert len(called) == 2
