"""A fork, and what becomes of the child."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def status_of_child(work: Callable[[], None]) -> int:
    """Fork; gives the child's exit status, which is 0 if `work` came to its end within half a minute."""
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(30)
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
