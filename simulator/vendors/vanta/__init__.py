"""Vanta: a customer's own tenant (`vanta`), and what its auditor sees (`vanta-auditor`)."""

from simulator.vendors.vanta.manage import Vanta

__all__ = ["Vanta"]
