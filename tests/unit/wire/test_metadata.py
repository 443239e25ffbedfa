"""What travels beside a request."""

from __future__ import annotations

import pytest

from vyked_host.errors import LocalProtocolError, RemoteProtocolError
from vyked_host.wire.metadata import CallMeta, join, pack, split, unpack


def test_headers_are_packed_and_unpacked():
    assert unpack(pack({"traceparent": "00-é"})) == {"traceparent": "00-é"}


def test_no_headers_are_nothing_at_all():
    assert pack({}) is None
    assert unpack(None) == {}


@pytest.mark.parametrize(
    "meta",
    [CallMeta(), CallMeta("e"), CallMeta(None, "k"), CallMeta(caller="a/1"), CallMeta(headers=b'{"a":"b"}'),
     CallMeta("e", "k", "c", b'{"a":"b"}')],
)  # fmt: skip
def test_a_meta_block_comes_back(meta):
    assert split(join(meta, b"body", 1 << 20)) == (meta, b"body")


def test_a_meta_block_has_an_end():
    with pytest.raises(LocalProtocolError, match="65535 are the most"):
        join(CallMeta(entity="x" * 70000), b"", 1 << 20)


@pytest.mark.parametrize("block", [b"", b"1", b"{", b'{"h":{"a":1}}', b'{"e":5}', b"\xff", b'{"h":"a"}'])
def test_a_malformed_meta_block_is_the_peers_fault(block):
    with pytest.raises(RemoteProtocolError, match="meta block"):
        split(len(block).to_bytes(2, "little") + block)
