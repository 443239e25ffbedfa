"""Vyked 2.x for vyked-host: its wire, its registry and its names (docs/moving-from-vyked.md)."""
