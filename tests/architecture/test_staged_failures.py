"""`why` answers at least fifteen staged failures: five of each kind, and more."""

import re
from pathlib import Path

FILE = Path(__file__).parents[1] / "integration/control/test_why.py"
SECTION = re.compile(r"^# ---- (.+?) -+$", re.MULTILINE)
FAILURE = re.compile(r"^async def (test_\w+)\(", re.MULTILINE)
NONE = {"test_a_service_that_is_fine_and_one_asked_at_a_node_that_does_not_have_it", "test_an_event_that_was_handled"}
"""What went well: `why` says so."""


def test_each_kind_of_question_is_put_to_at_least_five_failures() -> None:
    found = SECTION.split(FILE.read_text())[1:]
    staged = {title: set(FAILURE.findall(text)) - NONE for title, text in zip(found[::2], found[1::2], strict=True)}
    counts = {title: len(names) for title, names in staged.items() if names}
    assert len(counts) == 3, counts
    assert all(count >= 5 for count in counts.values()), counts
    assert sum(counts.values()) >= 15
