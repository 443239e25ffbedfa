"""`vyked.registry`: the registry, and what it keeps.

python -m vyked.registry
"""

from __future__ import annotations

from vyked_host import Registry

__all__ = ["Registry", "Repository"]


class Repository:
    """What the original kept its services in: to be handed to `Registry`, which has a place of its own for them."""
