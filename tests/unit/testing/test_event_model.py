"""What the kit's model of a group takes for a fault: one event at two members, unless the first was going."""

import msgspec
import pytest

from vyked_host.testing.conformance.event_model import Group, Taker
from vyked_host.testing.conformance.events import event


class Given(msgspec.Struct):
    """A delivery, as far as the model looks at it."""

    event: object
    count: int


@pytest.mark.parametrize("goes_first", [True, False])
def test_what_comes_to_a_member_while_it_goes_may_go_to_others_at_once(goes_first: bool) -> None:
    group, first, second = Group(), Taker("first", print), Taker("second", print)
    group.owed["event-1"] = sent = msgspec.structs.replace(event(), id="event-1")
    group.since["event-1"] = 0.0
    if goes_first:
        group.left(first)
    group.took(first, Given(sent, 1), 0.1, 0.3)  # type: ignore[arg-type]  # it settles nothing
    group.took(second, Given(sent, 2), 0.11, 0.3)  # type: ignore[arg-type]
    assert group.faults == ([] if goes_first else ["event-1 went to second while first had it"])
