"""Two hundred installed plugins that nobody uses cost next to nothing and are not imported."""

import subprocess
import sys

from tests.unit.loading.shelf import Shelf
from vyked_host.loading import load

COUNT = 200


def crowd(shelf: Shelf) -> None:
    for number in range(COUNT):
        shelf.add(
            f"crowd-{number}", plugins={f"transport.crowd{number}": f"crowd_{number}"},
            modules={f"crowd_{number}": "raise SystemExit('imported')"}, requires=("vyked-host>=0.0.1", "requests"),
        )  # fmt: skip


def test_none_of_two_hundred_unused_plugins_is_imported(shelf: Shelf) -> None:
    crowd(shelf)
    catalogue = load(environ={})
    assert {f"crowd{number}" for number in range(COUNT)} <= set(catalogue.names("transport"))
    assert catalogue.provider("balancer", "random").name == "random"
    catalogue.hooks.commands()
    assert not [name for name in sys.modules if name.startswith("crowd_")]


def test_looking_at_what_is_installed_imports_no_back_end() -> None:
    program = (
        "import sys; from vyked_host.loading import load; load(environ={}).names('transport'); "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'aiohttp', 'redis', 'rich', 'jsonschema', 'tree_sitter'}, "
        "*(name for name in sys.modules if name.startswith('vyked_host.builtin.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
