"""vyked.toml -> settings: every fault at once with its place, and the origin of every value.

``document = opened(path)``; ``plugins_table(document)`` says what may be loaded; ``bind(document, installed)`` gives `Loaded`;
`load` is all three in one for those who have a catalogue already.
"""

from __future__ import annotations

from .document import Document, Origin, opened
from .installed import Installed
from .load import Loaded, bind, load, plugins_table
from .problems import FORMATS, Problem, as_text, count
from .services import Service

__all__ = [
    "FORMATS", "Document", "Installed", "Loaded", "Origin", "Problem", "Service", "as_text", "bind", "count", "load",
    "opened", "plugins_table",
]  # fmt: skip
