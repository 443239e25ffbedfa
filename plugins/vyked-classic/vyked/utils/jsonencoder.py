"""`vyked.utils.jsonencoder`."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any


class VykedEncoder(json.JSONEncoder):
    """Times as whole seconds since 1970 (naive ones are local), UUIDs as text."""

    def default(self, o: Any) -> Any:
        """What json can't write by itself."""
        if isinstance(o, datetime.datetime):
            return int(o.timestamp())
        if isinstance(o, uuid.UUID):
            return str(o)
        return super().default(o)
