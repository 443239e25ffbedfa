"""Plugins: found by metadata, judged by metadata, imported only when vyked.toml uses them. Pluggy lives here and nowhere
else; everyone else has the `Catalogue` and its typed `hooks`. A plugin that fails is named with its version and isolated.
"""

from __future__ import annotations

from .catalogue import Catalogue, load
from .entry import HOOKS, OFFERS, SERVICE, Entry, State
from .faults import PluginConflict, PluginHung, UnknownPlugin, UnusablePlugin
from .hooks import Command, HealthCheck, Hooks, Lifespan, Problem, ServiceOffer
from .importer import (
    BadReference,
    ImportFault,
    InnerModuleNotInstalled,
    ModuleNotInstalled,
    ModuleRaised,
    NoSuchAttribute,
    reference,
)

__all__ = [
    "HOOKS", "OFFERS", "SERVICE", "BadReference", "Catalogue", "Command", "Entry", "HealthCheck", "Hooks", "ImportFault",
    "InnerModuleNotInstalled", "Lifespan", "ModuleNotInstalled", "ModuleRaised", "NoSuchAttribute", "PluginConflict",
    "PluginHung", "Problem", "ServiceOffer", "State", "UnknownPlugin", "UnusablePlugin", "load", "reference",
]  # fmt: skip
