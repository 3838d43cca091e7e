"""GitHub: an organization's people, repositories, rules, audit log and alerts."""

from simulator.vendors.github.vendor import ORGANIZATION, GitHub

__all__ = ["ORGANIZATION", "GitHub"]
