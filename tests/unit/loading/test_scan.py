"""What metadata alone says."""

import sys

import pytest

from vyked_host.loading import Catalogue, Entry, load

from .shelf import Shelf


def entry(catalogue: Catalogue, path: str, dist: str = "") -> Entry:
    found = [each for each in catalogue.entries if each.path == path and dist in each.dist]
    assert len(found) == 1, found
    return found[0]


def test_an_entry_name_claims_kind_and_name(shelf: Shelf) -> None:
    shelf.add("acme-nuts", "2.3", plugins={"transport.nuts": "acme_nuts.plugin", "nuthooks": "acme_nuts.hooks"})
    catalogue = load(environ={})
    found = entry(catalogue, "transport.nuts")
    assert (found.kind, found.name, found.value) == ("transport", "nuts", "acme_nuts.plugin")
    assert (found.dist, found.version, found.state, found.editable) == ("acme-nuts", "2.3", "available", False)
    assert entry(catalogue, "nuthooks").kind == "hooks"


def test_only_the_first_dot_ends_the_kind(shelf: Shelf) -> None:
    shelf.add("acme", plugins={"transport.nuts.v2": "acme.plugin"})
    assert "nuts.v2" in load(environ={}).names("transport")


def test_services_come_from_their_own_group(shelf: Shelf) -> None:
    shelf.add("acme-shop", services={"till": "acme_shop:Till"})
    assert "till" in load(environ={}).service_names()
    assert "acme_shop" not in sys.modules


def test_an_unknown_kind_is_failed_and_says_which_kinds_exist(shelf: Shelf) -> None:
    shelf.add("acme", plugins={"trasnport.nuts": "acme"})
    found = entry(load(environ={}), "trasnport.nuts")
    assert found.state == "failed"
    assert "'trasnport' is no kind of plugin" in found.reason
    assert "transport, pubsub, registry" in found.reason


def test_a_distribution_that_excludes_this_host_is_incompatible(shelf: Shelf) -> None:
    shelf.add("acme", plugins={"transport.old": "acme"}, requires=("vyked-host<0.0.1", "aiohttp"))
    found = entry(load(environ={}), "transport.old")
    assert found.state == "incompatible"
    assert "needs vyked-host<0.0.1, this is" in found.reason


@pytest.mark.parametrize(
    "demand", ['vyked-host<0.0.1; extra == "old"', "vyked-hostile<0.0.1", "vyked-host ???", "Vyked.Host>=0.0.1"]
)
def test_a_demand_that_does_not_concern_this_host_is_no_obstacle(shelf: Shelf, demand: str) -> None:
    shelf.add("acme", plugins={"transport.fine": "acme"}, requires=(demand,))
    assert entry(load(environ={}), "transport.fine").state == "available"


def test_two_distributions_with_one_claim_are_both_named(shelf: Shelf) -> None:
    shelf.add("acme-nuts", "1.0", plugins={"transport.nuts": "acme_nuts"})
    shelf.add("best-nuts", "2.0", plugins={"transport.nuts": "best_nuts"})
    catalogue = load(environ={})
    assert entry(catalogue, "transport.nuts", "acme").state == "conflict"
    assert "best-nuts 2.0" in entry(catalogue, "transport.nuts", "acme").reason
    assert "acme-nuts 1.0" in entry(catalogue, "transport.nuts", "best").reason


def test_a_conflict_ends_when_one_rival_is_disabled(shelf: Shelf) -> None:
    shelf.add("acme-nuts", plugins={"transport.nuts": "acme_nuts"})
    shelf.add("best-nuts", plugins={"transport.nuts": "best_nuts"})
    catalogue = load(environ={})
    catalogue.restrict(["best-nuts"])
    assert catalogue.find("transport", "nuts").dist == "acme-nuts"


def test_editable_twins_are_one_and_the_dist_info_counts(shelf: Shelf) -> None:
    shelf.add("acme-nuts", "0.9", plugins={"transport.stale": "acme_nuts"}, egg=True)
    shelf.add("Acme.Nuts", "1.0", plugins={"transport.nuts": "acme_nuts"}, editable=True)
    found = [each for each in load(environ={}).entries if "nuts" in each.dist.lower()]
    assert [(each.path, each.version, each.editable, each.state) for each in found] == [
        ("transport.nuts", "1.0", True, "available")
    ]


def test_a_broken_entry_points_file_hides_nobody_else(shelf: Shelf) -> None:
    shelf.break_entry_points("acme-broken")
    shelf.add("acme-nuts", plugins={"transport.nuts": "acme_nuts"})
    catalogue = load(environ={})
    assert entry(catalogue, "acme-broken").state == "failed"
    assert "install acme-broken again" in entry(catalogue, "acme-broken").reason
    assert entry(catalogue, "transport.nuts").state == "available"


def test_a_distribution_without_metadata_is_failed(shelf: Shelf) -> None:
    shelf.add("acme", plugins={"transport.nuts": "acme"})
    (shelf.folder / "acme-1.0.dist-info" / "METADATA").unlink()
    assert entry(load(environ={}), "transport.nuts").state == "failed"


@pytest.mark.parametrize("wish", ["nuts", "transport.nuts", "acme-nuts", "Acme_Nuts"])
def test_plugin_kind_and_name_or_distribution_disable(shelf: Shelf, wish: str) -> None:
    shelf.add("acme-nuts", plugins={"transport.nuts": "acme_nuts"})
    found = entry(load([wish], environ={}), "transport.nuts")
    assert (found.state, found.reason) == ("disabled", "by [plugins] disable")
    found = entry(load(no_plugins=[wish], environ={}), "transport.nuts")
    assert (found.state, found.reason) == ("disabled", "by --no-plugins")
    found = entry(load(environ={"VYKED_PLUGINS_DISABLE": f"x, {wish}"}), "transport.nuts")
    assert (found.state, found.reason) == ("disabled", "by VYKED_PLUGINS_DISABLE")


def test_no_plugins_at_all_leaves_the_built_in_ones(shelf: Shelf) -> None:
    shelf.add("acme-nuts", plugins={"transport.nuts": "acme_nuts"})
    for catalogue in (load(no_plugins=True, environ={}), load(environ={"VYKED_PLUGINS_DISABLE": "all"})):
        assert entry(catalogue, "transport.nuts").state == "disabled"
        assert entry(catalogue, "transport.tcp").state == "available"


def test_a_wish_to_disable_what_is_not_there_is_told() -> None:
    assert load(["nonesuch", "vyked-host"], environ={}).unmatched == ("nonesuch",)


def test_entries_are_sorted_whatever_the_installation_order(shelf: Shelf) -> None:
    shelf.add("zz", plugins={"balancer.aa": "zz"})
    shelf.add("aa", plugins={"balancer.zz": "aa"})
    keys = [(each.kind, each.name) for each in load(environ={}).entries]
    assert keys == sorted(keys)
