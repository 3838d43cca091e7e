"""A plot by pygal as an SVG document that stands alone, in the light and in the dark theme.

Prefect's UI strips an inline `<svg>` but shows an image. Inside an image the SVG cannot see the page's theme, so it
brings its background along and follows `prefers-color-scheme` with all its colours at once. What pygal adds for
tooltips in a page (scripts, links, today's date) is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flows.curve import Name

WIDTH, HEIGHT = 720, 320
"""Pixels. Prefect's page has 600 to 750 for it and scales down what is wider, its letters too."""
_MARGIN = 20
_NAME_ROOM = 18
"""Pixels from one name to the next."""
_LONGEST_TITLE = 68

# pygal numbers the series as they are added: cooldown, documented, ceiling, rate, held, backoff, opened.
_SHAPES = """
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.title{font-size:16px;font-weight:600}.name{font-weight:600}
.keys,.axis.y text{text-anchor:end}.axis.x text{text-anchor:middle}
path{fill:none}circle{stroke-width:1.5}
.serie-0 path{fill-opacity:.22}.key-cooldown{fill-opacity:.6}
.serie-1 path{stroke-width:1.5;stroke-dasharray:8 4}
.serie-2 path{stroke-width:1.5;stroke-dasharray:2 3}
.serie-3 path{stroke-width:2;stroke-linejoin:round}
"""
_COLOURS = """
.card{{fill:{card};stroke:{edge}}}
text{{fill:{text}}}.title{{fill:{strong}}}.axis path{{stroke:{grid}}}
.serie-0 path,.key-cooldown{{fill:{cooldown}}}
.serie-1 path{{stroke:{documented}}}.name-documented{{fill:{documented}}}
.serie-2 path{{stroke:{ceiling}}}.name-ceiling{{fill:{ceiling}}}
.serie-3 path{{stroke:{rate}}}.name-rate{{fill:{rate}}}
.serie-4 circle{{fill:{card};stroke:{refused}}}.serie-5 circle{{fill:{refused};stroke:{card}}}
.key-backoff,.key-held{{fill:{refused}}}
.serie-6 circle{{fill:{strong};stroke:{card}}}.key-opened{{fill:{strong}}}
"""
_LIGHT = {
    **{"card": "#fff", "edge": "#d7dce3", "text": "#4b5563", "strong": "#111827", "grid": "#e9ecf1"},
    **{"cooldown": "#f59e0b", "documented": "#047857", "ceiling": "#7c3aed", "rate": "#1d4ed8", "refused": "#dc2626"},
}
_DARK = {
    **{"card": "#161b22", "edge": "#343c49", "text": "#a7b0be", "strong": "#f3f4f6", "grid": "#272e39"},
    **{"cooldown": "#fbbf24", "documented": "#34d399", "ceiling": "#b197fc", "rate": "#6ea8fe", "refused": "#ff6b6b"},
}
_CSS = f"{_SHAPES}{_COLOURS.format(**_LIGHT)}@media(prefers-color-scheme:dark){{{_COLOURS.format(**_DARK)}}}"
_KEYS = {
    "opened": ("●", "circuit open"),
    "backoff": ("●", "backoff: rate cut"),
    "held": ("○", "refused, no cut"),
    "cooldown": ("■", "cooldown"),
}


@dataclass(frozen=True, slots=True)
class Caption:
    """The words around the plot.

    Attributes:
        title: One line; shortened where it is too long to be shown.
        subtitle: What the axes are.
        description: The picture in words.
        keys: Which marks to explain: `opened`, `backoff`, `held`, `cooldown`; there is room for three.
        before: What came before the plot's left edge, in a few words.
    """

    title: str
    subtitle: str
    description: str
    keys: Sequence[str]
    before: str = ""


def canvas(**options: Any) -> Any:
    """An empty pygal XY chart of our size, in which lines break at None."""
    import pygal  # here, so that a run that draws nothing does not wait for it
    from pygal.style import Style

    return pygal.XY(
        style=Style(label_font_size=13),
        width=WIDTH,
        height=HEIGHT,
        explicit_size=True,
        margin=_MARGIN,
        margin_top=78,
        margin_right=160,
        css=[],
        js=[],
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        show_dots=False,
        show_x_guides=True,
        allow_interruptions=True,
        **options,
    )


def standalone(chart: Any, caption: Caption, names: Sequence[Name]) -> str:
    """Render a chart of `canvas`, without what does not belong in a picture, with its words.

    Returns:
        The SVG. Characters that XML cannot hold are left out of its words.
    """

    def finish(svg: Any) -> Any:
        _strip(svg)
        heights = _spread([chart.view.y(name.rate) for name in names], chart.view.height)
        _write(svg, caption)
        plot = svg.find(".//g[@class='plot']")
        if caption.before:
            _add(plot, "text", caption.before, {"x": "4", "y": "-6"})
        for name, y in zip(names, heights, strict=True):
            classes = f"name name-{name.kind}"
            _add(plot, "text", name.text, {"x": f"{chart.view.width + 8:.0f}", "y": f"{y + 4:.0f}", "class": classes})
        return svg

    return str(chart.add_xml_filter(finish).render())


def _strip(svg: Any) -> None:
    for parent in list(svg.iter()):
        for child in list(parent):
            if _is_for_pages(child, parent):
                parent.remove(child)
        if parent.get("class") == "dots":
            title, circle = parent
            parent.remove(title)
            circle.append(title)
    for node in svg.iter():
        for name in ("d", "x", "y", "cx", "cy"):
            if name in node.attrib:
                node.set(name, re.sub(r"-?\d+\.\d+", _short, node.get(name)))
        if node.tag == "path" and "reactive" in node.get("class"):  # a series, not an axis
            node.set("d", _steps(node.get("d")))
        if node.tag in ("circle", "path") or not node.get("class"):
            node.attrib.pop("class", None)
    svg.find(".//style").text = _CSS.replace("\n", "")


def _is_for_pages(node: Any, parent: Any) -> bool:
    """Scripts, tooltips and comments; and pygal's two backgrounds, of which we need one, with round corners."""
    return (
        not isinstance(node.tag, str)
        or node.tag in ("script", "desc")
        or node.get("class") in ("background", "plot tooltip-overlay")
        or (node.tag == "title" and parent.get("class") == "guides")
    )


def _write(svg: Any, caption: Caption) -> None:
    title = "".join(character for character in caption.title if character.isprintable())
    svg.attrib.pop("id", None)
    svg.set("role", "img")
    svg.find("title").text = title
    _add(svg, "desc", caption.description, {}, first=True)
    card = {"class": "card", "x": "0.5", "y": "0.5", "width": str(WIDTH - 1), "height": str(HEIGHT - 1), "rx": "8"}
    _add(svg.find("g"), "rect", None, card, first=True)
    shown = title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 1] + "…"
    _add(svg, "text", shown, {"class": "title", "x": str(_MARGIN), "y": "30"})
    _add(svg, "text", caption.subtitle, {"x": str(_MARGIN), "y": "50"})
    keys = _add(svg, "text", None, {"class": "keys", "x": str(WIDTH - _MARGIN), "y": "50"})
    for gap, key in zip(("", *["\N{EM SPACE}"] * 2), caption.keys, strict=False):
        sign, words = _KEYS[key]
        _add(keys, "tspan", gap + sign, {"class": f"key-{key}"})
        _add(keys, "tspan", f" {words}", {})


def _spread(heights: Sequence[float], lowest: float) -> list[float]:
    """Move heights apart, as little as is needed, in pixels from the top."""
    spread = list(heights)
    order = sorted(range(len(heights)), key=heights.__getitem__)
    for above, below in pairwise(order):
        spread[below] = max(spread[below], spread[above] + _NAME_ROOM)
    for place, i in enumerate(reversed(order)):
        spread[i] = min(spread[i], lowest - place * _NAME_ROOM)
    return spread


def _add(parent: Any, tag: str, text: str | None, attributes: dict[str, str], *, first: bool = False) -> Any:
    node = parent.makeelement(tag, attributes)
    node.text = text
    parent.insert(0 if first else len(parent), node)
    return node


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _steps(path: str) -> str:
    """A path whose lines are mostly level or upright, in half the characters.

    Example:
        >>> _steps("M1 5 L4 5 4 2 6 1")
        'M1 5H4V2L6 1'
    """
    numbers = re.findall(r"[-\d.]+", path)
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    lines = [f"M{' '.join(points[0])}"]
    for before, point in pairwise(points):
        if before[1] == point[1]:
            lines += [f"H{point[0]}"] * (before != point)
        else:
            lines.append(f"V{point[1]}" if before[0] == point[0] else f"L{' '.join(point)}")
    return "".join(lines)
