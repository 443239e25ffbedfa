"""What pytest collects when one plugin is verified: the classes for it, and the fixtures of its author's module."""

from .plan import namespace

globals().update(namespace())
