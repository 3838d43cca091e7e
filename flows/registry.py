"""Every source there is: the built-in ones, and those that installed packages bring.

A package offers a source of its own through the entry point group `prefect_aimd.sources`; the entry's value is a
`flows.stream.Source`, which may bring its preset:

    [project.entry-points."prefect_aimd.sources"]
    acme = "acme_evidence:ACME"
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from flows.stream import Source
from flows.vendors.airtable import AIRTABLE
from flows.vendors.fieldguide import FIELDGUIDE
from flows.vendors.github import GITHUB
from flows.vendors.notion import NOTION
from flows.vendors.openai import OPENAI
from flows.vendors.slack import SLACK
from flows.vendors.slack_audit import SLACK_AUDIT
from flows.vendors.vanta import VANTA
from flows.vendors.vanta_auditor import VANTA_AUDITOR
from limiter import API_RATE_CONFIGS

GROUP = "prefect_aimd.sources"
BUILT_IN = (NOTION, VANTA, VANTA_AUDITOR, FIELDGUIDE, GITHUB, SLACK, SLACK_AUDIT, AIRTABLE, OPENAI)
_NAME = re.compile(r"[a-z][a-z0-9_]*")

log = logging.getLogger("prefect_aimd.sources")


def load(entries: Iterable[EntryPoint] | None = None) -> tuple[dict[str, Source], dict[str, str]]:
    """Find the sources, and make their presets known.

    Args:
        entries: What installed packages offer; by default what is installed.

    Returns:
        The sources by name, and why others could not be used, by the name of their entry. One package's mistake keeps
        nobody from their evidence.
    """
    sources = {source.name: source for source in BUILT_IN}
    broken: dict[str, str] = {}
    for entry in entry_points(group=GROUP) if entries is None else entries:
        try:
            source = _loaded(entry, sources)
        except Exception as error:  # whatever an import of somebody else's module may raise
            broken[entry.name] = f"{type(error).__name__}: {error}"
            log.warning("The source %r of %s cannot be used: %s", entry.name, entry.value, broken[entry.name])
        else:
            sources[source.name] = source
    for name, source in sources.items():
        if source.preset is not None:
            API_RATE_CONFIGS.setdefault(name, source.preset)
    return sources, broken


def _loaded(entry: EntryPoint, known: dict[str, Source]) -> Source:
    source = entry.load()
    if not isinstance(source, Source):
        raise TypeError(f"it is no flows.stream.Source but a {type(source).__name__}")
    if source.name in known:
        raise ValueError(f"there is a source {source.name!r} already")
    if not _NAME.fullmatch(source.name):
        raise ValueError(f"its name {source.name!r} must be lower-case letters, digits and underscores")
    if source.preset is not None and source.preset.name != source.name:
        raise ValueError(f"its preset is called {source.preset.name!r}")
    return source
