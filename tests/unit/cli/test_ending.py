"""What `dlq end` refuses before it looks for a mesh."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from vyked_host.cli.dlq import command
from vyked_host.errors import UsageError


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--topic", "shop.sold", "--group", "books@1", "--yes"),
            "shop.sold has a major version too: --topic shop.sold@1",
        ),
        (("--topic", "sold", "--group", "books@1", "--yes"), "'sold' is no topic: write SERVICE.EVENT"),
        (("--topic", "shop.sold@1", "--group", "books@1"), "say --yes where nobody can be asked"),
    ],
)
def test_what_is_not_clear_ends_nothing(words: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(command, ["end", *words])
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)
