"""What is remembered: limiters and their history, cursors, evidence.

Light on purpose: the limiter's pure core needs the dataclasses of `state.records` and nothing else, so SQLAlchemy
is imported by the first `open_store`, not by `import state`.

Example:
    >>> from state import Bucket, open_store
    >>> with open_store("memory://") as store:
    ...     list(store.buckets())
    []
"""

from typing import TYPE_CHECKING, Any

from state.records import Bucket, Decision, HistoryEvent, LimiterState

if TYPE_CHECKING:
    from state.store import Store, open_store

__version__ = "0.1.0"
DISTRIBUTION = "prefect-aimd"

__all__ = ["Bucket", "Decision", "HistoryEvent", "LimiterState", "Store", "open_store", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("open_store", "Store"):
        from state import store

        return getattr(store, name)
    raise AttributeError(f"module 'state' has no attribute {name!r}")
