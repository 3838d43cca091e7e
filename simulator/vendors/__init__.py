"""The vendors by name. Each is a module of its own and is imported when it is first asked for."""

from importlib import import_module
from typing import Any

from simulator.vendor import Vendor

_CLASSES = {
    "notion": ("notion", "Notion"),
    "vanta": ("vanta", "Vanta"),
    "vanta_auditor": ("vanta", "VantaAuditor"),
    "github": ("github", "GitHub"),
    "fieldguide": ("fieldguide", "Fieldguide"),
    "slack": ("slack", "Slack"),
    "airtable": ("airtable", "Airtable"),
    "openai": ("openai", "OpenAI"),
    "zapier": ("zapier", "Zapier"),
}
VENDORS: tuple[str, ...] = tuple(_CLASSES)
"""The names."""


def make_vendor(name: str, seed: int = 0, world: Any = None) -> Vendor:
    """Make a vendor.

    Args:
        name: One of `VENDORS`.
        seed: Decides the data, if there is no world.
        world: The data; None for a small world made from the seed.

    Raises:
        ValueError: If there is no such vendor, or the world is not one of its own.

    Example:
        >>> make_vendor("notion").title
        'Notion'
    """
    made: Vendor = _class(name).from_seed(seed, world)
    return made


def make_world(name: str, seed: int = 0, **counts: int) -> Any:
    """Make data for a vendor.

    Args:
        name: One of `VENDORS`.
        seed: Decides everything.
        counts: How many of each kind; of what belongs to something, how many for each of those.

    Raises:
        ValueError: If there is no such vendor or kind, or a count is out of range.

    Example:
        >>> len(make_world("vanta", people=3).ids("people"))
        3
    """
    return _class(name).world(seed, **counts)


def _class(name: str) -> Any:
    if name not in _CLASSES:
        raise ValueError(f"there is no vendor {name!r}; known: {', '.join(VENDORS)}")
    module, cls = _CLASSES[name]
    return getattr(import_module(f"{__name__}.{module}"), cls)
