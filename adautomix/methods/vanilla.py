"""Vanilla: no mixing. The baseline of every table."""

from adautomix.methods.base import MixMethod


class Vanilla(MixMethod):
    """Plain training: the base class as it is."""
