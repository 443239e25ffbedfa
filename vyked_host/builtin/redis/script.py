"""A script for the server (https://valkey.io/topics/eval-intro/)."""

from __future__ import annotations

import hashlib


class Script:
    """`text` runs by its digest; a server that does not know it yet is given the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
