"""Fieldguide: engagements, requests, their files and comments, and exports that take a while."""

from simulator.vendors.fieldguide.vendor import Fieldguide

__all__ = ["Fieldguide"]
