"""Who asks what, when: Prefect flows, vendor sources, artifacts and the command line."""

import limiter
import state

for _package in (limiter, state):
    if getattr(_package, "DISTRIBUTION", None) != "prefect-aimd":
        raise ImportError(
            f"The package {_package.__name__!r} that Python found ({getattr(_package, '__file__', None)}) belongs to "
            "another distribution. Install prefect-aimd into an environment of its own."
        )
