"""Slack: users, access logs, and an organization's audit logs."""

from simulator.vendors.slack.vendor import Slack

__all__ = ["Slack"]
