"""After a fork: the child must not use its parent's connections, nor wait for locks that its threads held."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """What has to know that it is now in a child."""

    def in_child(self) -> None:
        """Begin anew with locks and connections of its own. Nothing that the parent may use is closed."""
        ...


_open: WeakSet[Forked] = WeakSet()


def tell_in_child(what: Forked) -> None:
    """Call `what.in_child()` in every child that is forked while `what` is alive."""
    _open.add(what)


def _tell() -> None:
    for what in list(_open):
        what.in_child()


os.register_at_fork(after_in_child=_tell)
