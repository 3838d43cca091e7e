"""Airtable: bases, tables and records."""

from simulator.vendors.airtable.vendor import Airtable

__all__ = ["Airtable"]
