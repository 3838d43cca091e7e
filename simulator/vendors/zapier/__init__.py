"""Zapier's catch hooks: a sink."""

from simulator.vendors.zapier.vendor import Zapier

__all__ = ["Zapier"]
