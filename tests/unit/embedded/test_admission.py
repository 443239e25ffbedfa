"""Who may say what at the registry's desk."""

from __future__ import annotations

import pytest

from vyked_host.builtin.embedded.admission import Admission
from vyked_host.contracts import Call, EndpointDescription, Kind, NodeRecord, Peer, Trust
from vyked_host.service.context import CURRENT, Context

ENDPOINT = EndpointDescription(service="vyked-registry", version="1.0.0", name="announce", kind=Kind.UNARY)


def record(node_id: str) -> NodeRecord:
    return NodeRecord(node_id=node_id, namespace="demo", addresses=(), instances=())


def asked(admission: Admission, who: str | None, node_id: str, known: set[str], *, local: bool = False) -> str:
    """What a peer of that identity hears that announces `node_id`; `local`: the holder itself does."""
    if local:
        return admission.refusal(node_id, record(node_id), known)
    call = Call(1, 0, "msgpack", b"", 1.0, Peer(address="10.0.0.9:1", identity=who))
    token = CURRENT.set(Context(call, ENDPOINT, lambda: 0.0))
    try:
        return admission.refusal(node_id, record(node_id), known)
    finally:
        CURRENT.reset(token)


@pytest.mark.parametrize("who", ["spiffe://shop/evil", None])
def test_nobody_speaks_for_the_holder_of_the_registry(who: str | None) -> None:
    admission = Admission(Trust("demo"))
    assert asked(admission, None, "holder", set(), local=True) == ""
    assert "announced by somebody else" in asked(admission, who, "holder", {"holder"})
    assert asked(admission, None, "holder", {"holder"}, local=True) == ""


def test_a_node_belongs_to_who_announced_it_while_it_is_known() -> None:
    admission = Admission(Trust("demo"))
    assert asked(admission, "a", "node", set()) == ""
    assert asked(admission, "a", "node", {"node"}) == ""
    assert "announced by somebody else" in asked(admission, "b", "node", {"node"})
    assert asked(admission, "b", "node", set()) == ""
