"""What a process has one of for each key, however many threads ask for it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from typing import Generic, TypeVar

from state import fork

K = TypeVar("K")
V = TypeVar("V")


class Once(Generic[K, V]):
    """Values that are made by whoever asks first, while others who ask wait.

    Args:
        values: Keeps them; empty.

    Example:
        >>> stores = Once[str, object]({})
        >>> stores.get("a", object) is stores.get("a", object)
        True
    """

    def __init__(self, values: MutableMapping[K, V]) -> None:
        self._values = values
        self.in_child()
        fork.tell_in_child(self)

    def in_child(self) -> None:
        """See `state.fork`: whoever was making one is not there."""
        self._making = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if there is none yet."""
        found = self._values.get(key)
        if found is None:
            with self._making:
                found = self._values.get(key)
                if found is None:
                    found = self._values[key] = make()
        return found
