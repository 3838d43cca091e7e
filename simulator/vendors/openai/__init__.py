"""OpenAI's administration of an organization."""

from simulator.vendors.openai.vendor import OpenAI

__all__ = ["OpenAI"]
