"""Vanta: a customer's own tenant (`vanta`), and what its auditor sees (`vanta_auditor`)."""

from simulator.vendors.vanta.auditor import VantaAuditor
from simulator.vendors.vanta.manage import Vanta

__all__ = ["Vanta", "VantaAuditor"]
