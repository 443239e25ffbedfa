"""The file of the nodes that were known last (``[host] state_dir``): written a moment after the view changed, read at a start
while no registry can be reached. Hosts of one folder share it; each writes all it knows, and the last one wins.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from ..catalog.last_known import kept, recalled
from ..model.names import slug
from ..model.topology import NodeRecord

PAUSE_S = 1.0
"""After a change, before it is written: what changes together is written once."""


class LastKnown:
    """What one host writes down of its mesh."""

    def __init__(self, folder: Path, mesh: str, log: logging.Logger) -> None:
        self._path, self._mesh, self._log = folder / f"{slug(mesh, 'mesh')}.nodes", mesh, log

    def load(self) -> dict[str, NodeRecord]:
        """The records by node id; empty when there is no file. What is damaged is left out, which is logged."""
        try:
            found, refused = recalled(self._path.read_bytes(), self._mesh)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._log.warning("the nodes known last can't be read: %s", error)
            return {}
        if refused:
            self._log.warning("%s: %d damaged or foreign entries are left out", self._path, refused)
        return found

    async def save(self, records: Iterable[NodeRecord]) -> None:
        """Write them; a failure is logged and costs nothing else."""
        data = kept(records, self._mesh)
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            self._log.warning("the nodes known last can't be written: %s", error)

    def _write(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}-{id(self)}")
        draft.write_bytes(data)
        draft.replace(self._path)  # whole or not at all
