"""The life of a host: only the steps of the table are legal."""

import itertools

import pytest

from vyked_host.errors import LocalProtocolError
from vyked_host.model.phase import STEPS, Phase, step


@pytest.mark.parametrize(("old", "new"), list(itertools.product(Phase, Phase)))
def test_only_the_steps_of_the_table_are_legal(old: Phase, new: Phase) -> None:
    if new in STEPS[old]:
        assert step(old, new) is new
    else:
        with pytest.raises(LocalProtocolError, match=old.value):
            step(old, new)


def test_every_life_ends_stopped() -> None:
    reached, seen = {Phase.NEW}, set()
    while reached - seen:
        here = (reached - seen).pop()
        seen.add(here)
        reached |= STEPS[here]
    assert seen == set(Phase)
    assert not STEPS[Phase.STOPPED]
