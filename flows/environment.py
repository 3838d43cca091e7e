"""Prefect's settings as this program starts it: quiet, and telling nobody. Before the first `import prefect`."""

from __future__ import annotations

import os

PRIVATE = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
"""A server or client that this program starts reports to nobody."""
QUIET = {
    # The terminal has the progress; what the run logs is in the UI, with the limiter's own log.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "limiter",
}


def be_quiet() -> None:
    """Set what the user has not set."""
    for name, value in {**PRIVATE, **QUIET}.items():
        os.environ.setdefault(name, value)
