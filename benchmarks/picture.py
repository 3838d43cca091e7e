"""The picture of the README: a rate that starts from nothing and finds a hidden limit, beside textbook AIMD."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.core import Core
from benchmarks.score import score
from benchmarks.textbook import Textbook
from benchmarks.virtual import Log, simulate
from flows.curve import Name
from flows.picture_svg import Caption, canvas, standalone
from limiter.aimd import Ticket

CASE = Case("bucket 5/s, burst 5", "token:rate=5,burst=5", seconds=300.0)
FILE = Path(__file__).parents[1] / "docs" / "images" / "finding-the-limit.svg"
TOP = 9
Line = list[tuple[float, float]]


class _Watched:
    """An algorithm whose rate is written down after each reply."""

    def __init__(self, algorithm: Core | Textbook, rate: Callable[[], float]) -> None:
        self.inner, self._rate = algorithm, rate
        self.line: Line = [(0.0, rate())]
        self.refused: Line = []
        self.log = Log()

    def reserve(self, now: float, /, *, waited: bool) -> Ticket:
        return self.inner.reserve(now, waited=waited)

    def is_void(self, ticket: Ticket, /) -> bool:
        return self.inner.is_void(ticket)

    def succeeded(self, now: float, ticket: Ticket, /) -> None:
        self.inner.succeeded(now, ticket)
        self.line.append((now, self._rate()))

    def throttled(self, now: float, ticket: Ticket, retry_after: float | None, /) -> None:
        before = self._rate()
        self.inner.throttled(now, ticket, retry_after)
        self.refused.append((now, before))
        if self._rate() != before:
            self.line += [(now, before), (now, self._rate())]


def run(seed: int) -> tuple[_Watched, _Watched]:
    """Let the core and the textbook find the limit of `CASE`, each alone."""
    core, textbook = Core(), Textbook()
    both = _Watched(core, lambda: core.state.rate), _Watched(textbook, lambda: textbook._rate)
    for each in both:
        each.log = simulate(each, CASE.policy(), begin=0.0, seconds=CASE.seconds, seed=seed)
    return both


def draw(seed: int) -> str:
    """Run it and return the SVG."""
    ours, theirs = run(seed)
    policy = CASE.policy()
    limit = policy.rate(0.0)
    scores = [score(each.log, policy, 0.0, CASE.seconds) for each in (ours, theirs)]
    words = [f"{each.goodput:.0f} % used, {each.rejected:.1f} % refused" for each in scores]
    chart = canvas(
        xrange=(0, CASE.seconds),
        range=(0, TOP),
        x_labels=[{"value": second, "label": f"{second} s"} for second in range(0, int(CASE.seconds) + 1, 60)],
        y_labels=[{"value": rate, "label": str(rate)} for rate in range(0, TOP + 1, 3)],
    )
    # The styles of the limiter's picture: a dashed line for what is known, a dotted one for what is past, and so on.
    chart.add("cooldown", [])
    chart.add("hidden limit", [(0, limit), (CASE.seconds, limit)])
    chart.add("textbook AIMD", theirs.line)
    chart.add("prefect-aimd", ours.line)
    chart.add("textbook AIMD refused", _marks(theirs.refused), stroke=False, show_dots=True, dots_size=3)
    chart.add("prefect-aimd refused", _marks(ours.refused), stroke=False, show_dots=True, dots_size=4)
    caption = Caption(
        title="Finding a hidden limit of 5 requests/s",
        subtitle=f"requests/s from a cold start; \N{BLACK CIRCLE} refused ({scores[0].rejected:.1f} %), "
        f"\N{WHITE CIRCLE} textbook AIMD refused ({scores[1].rejected:.1f} %)",
        description=f"prefect-aimd: {words[0]}. Textbook AIMD: {words[1]}.",
        keys=(),
    )
    names = [
        Name("documented", f"hidden limit {limit:g}", limit),
        Name("rate", "prefect-aimd", ours.line[-1][1]),
        Name("ceiling", "textbook AIMD", theirs.line[-1][1]),
    ]
    return standalone(chart, caption, names)


def _marks(refused: Line) -> list[dict[str, Any]]:
    return [{"value": point, "tooltip": f"{point[0]:.0f} s, {point[1]:.2f}"} for point in refused]


def report(seed: int, path: Path = FILE) -> str:
    """Draw it into a file and say so."""
    svg = draw(seed)
    path.write_text(svg, encoding="utf-8")
    return f"{path.name}: {len(svg) / 1024:.0f} KiB, seed {seed}"
