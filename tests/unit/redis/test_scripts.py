"""Rows R17 and D12 for the registry: what the server's clock says can't matter where nobody asks it."""

import pytest

from vyked_host.builtin.redis.registry.keys import PARTS, of_mesh
from vyked_host.builtin.redis.registry.scripts import KEPT_S, SHARDED


@pytest.mark.parametrize("script", [*SHARDED, *SHARDED.values()])
def test_no_script_of_the_registry_looks_at_a_clock(script):
    assert "'TIME'" not in script.text
    assert all(word not in script.text for word in ("PEXPIRE", "EXPIREAT", "'SETEX'", "'TTL'"))


def test_what_expires_is_far_beyond_any_jump_of_a_clock_by_hours():
    assert KEPT_S >= 24 * 3600


def test_in_a_cluster_the_same_is_said_on_sharded_channels():
    for plain, sharded in SHARDED.items():
        assert "'SPUBLISH'" in sharded.text
        assert "'PUBLISH'" not in sharded.text
        assert sharded.text.count("SHARDNUMSUB") == plain.text.count("NUMSUB")
        assert sharded.digest != plain.digest


def test_all_keys_of_a_mesh_are_in_one_slot():
    keys = of_mesh("vyked", "shop")
    assert len(set(keys.all)) == len(PARTS)
    assert {each.partition("{")[2].partition("}")[0] for each in (*keys.all, keys.changes, keys.link)} == {"shop"}
