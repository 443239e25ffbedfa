"""The ancestor's `Host`: a class that is never instantiated, on top of the real one (VYKED.md section 3)."""

from __future__ import annotations

from typing import Any


class ClassicHost:
    """Class attributes and class methods of Vyked 2.x's Host."""

    registry_host: str = "127.0.0.1"
    registry_port: int = 4500
    pubsub_host: str = "127.0.0.1"
    pubsub_port: int = 6379
    name: str | None = None
    ronin: bool = False

    @classmethod
    def configure(cls, name: str, **settings: Any) -> None:
        """Set the class attributes."""
        cls.name = name
        for key, value in settings.items():
            setattr(cls, key, value)
