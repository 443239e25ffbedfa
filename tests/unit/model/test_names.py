"""Names, endpoints and topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.errors import UsageError
from vyked_host.model import names


@pytest.mark.parametrize(("text", "found"), [("Identity", "identity"), ("a", "a"), ("a-b_c9", "a-b_c9")])
def test_names_are_lower_cased(text: str, found: str) -> None:
    assert names.name(text) == found


@pytest.mark.parametrize("text", ["", "9a", "a/b", "a.b", "a b", "é", "-a", "a" * 65, "a\n"])
def test_what_could_corrupt_a_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no valid service name"):
        names.name(text, "service name")


@given(st.text())
def test_a_slug_is_always_a_valid_name(text: str) -> None:
    found = names.slug(text, "default")
    assert names.name(found) == found


def test_endpoints_and_topics_are_taken_apart() -> None:
    assert names.split_endpoint("Identity.create") == ("identity", "create")
    assert names.split_topic("identity.changed") == ("identity", "changed", None)
    assert names.split_topic("identity.changed@2") == ("identity", "changed", 2)


@pytest.mark.parametrize("text", ["identity", "identity.", ".create", "identity.a b", "identity.create.more"])
def test_what_is_no_endpoint_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError):
        names.split_endpoint(text)


def test_a_topic_needs_a_number_as_its_version() -> None:
    with pytest.raises(UsageError, match="comes the major version"):
        names.split_topic("identity.changed@x")


@given(st.text(max_size=200))
def test_the_mesh_of_a_folder_is_a_valid_name_and_says_the_folders(folder: str) -> None:
    found = names.of_folder(f"/srv/{folder}")
    assert names.name(found) == found
    assert found == names.of_folder(f"/srv/{folder}")


def test_two_folders_of_one_name_are_two_meshes() -> None:
    one, other = names.of_folder("/home/ada/shop"), names.of_folder("/home/bob/shop")
    assert one != other
    assert one.startswith("shop-")
    assert other.startswith("shop-")
