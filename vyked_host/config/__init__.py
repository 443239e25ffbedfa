"""vyked.toml -> settings: every fault at once with its place, and the origin of every value.

``load(path, installed=catalogue)`` gives `Loaded`, and ``loaded.require()`` its settings; nothing is bound or started. Who
has no catalogue yet does it in steps: `opened`, `plugins_table` (what may be loaded), `bind`.
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
