"""Notion: users, pages, data sources and their rows."""

from simulator.vendors.notion.vendor import ROW_CAP, Notion
from simulator.vendors.notion.world import World

__all__ = ["ROW_CAP", "Notion", "World"]
