"""`RESULTS.md`: what was measured last, part by part, each with its date and the machine that it was measured on."""

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from benchmarks.tables import cells_of

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """\
# Results

Written by `make bench` and `python -m benchmarks --only PART`, which brings one part up to date. Each part says when
and where it was measured; what is in virtual time depends on neither.
"""
_PART = re.compile(r"^<!-- part: (\w+) -->$", re.MULTILINE)


def machine() -> str:
    """What wall time depends on: the processor, Python, the kind of system, and how busy it is already."""
    cores = os.cpu_count() or 1
    busy = f", load {os.getloadavg()[0] / cores:.1f} per core before" if hasattr(os, "getloadavg") else ""
    python = platform.python_version()
    return f"{_processor()}, {cores} cores, {platform.python_implementation()} {python}, {platform.system()}{busy}"


def _processor() -> str:
    """The model's name; only Linux needs to be asked by hand."""
    if sys.platform == "linux":
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def part(text: str, *, where: str, on: date | None = None) -> str:
    """A report as Markdown: its title, when and where it was measured, its words and its tables.

    Args:
        text: As it is printed; blocks that begin with a line in capitals are titled by it.
        where: From `machine`, as it was before.
        on: The day; today by default.
    """
    blocks: list[str] = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        if title := _title(lines[0]):
            blocks.append(f"{'###' if blocks else '##'} {title}")
            if len(blocks) == 1:
                blocks.append(f"*{on or datetime.now(UTC).date()}; {where}*")
            lines = lines[1:]
        if lines:
            blocks.append(_markdown(lines))
    return "\n\n".join(blocks) + "\n"


def _title(line: str) -> str | None:
    """The words of a line in capitals, in the case of a heading."""
    words = re.match(r"[A-Z][A-Z' ]{3,}(?=$|[ :(])", line)
    return words[0].capitalize() + line[words.end() :].rstrip() if words else None


def _markdown(lines: Sequence[str]) -> str:
    rows = cells_of(lines)
    if rows is None:
        return "\n".join(f"{line}  " if n < len(lines) - 1 else line for n, line in enumerate(lines))
    head, *body = rows
    rule = ["---:" if n and _are_numbers([row[n] for row in body]) else "---" for n in range(len(head))]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in (head, rule, *body))


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(not cell or cell == "-" or cell[0].isdigit() for cell in cells)


def update(path: Path, parts: Mapping[str, str], order: Sequence[str]) -> None:
    """Put parts into the file, in place of what they said before; the others stay as they are.

    Args:
        path: Made if it is not there.
        parts: Markdown by name.
        order: All names; what has another one goes.
    """
    _, *found = _PART.split(path.read_text(encoding="utf-8")) if path.exists() else [""]
    kept = {name: text.strip() + "\n" for name, text in zip(found[::2], found[1::2], strict=True)}
    kept.update(parts)
    texts = [f"<!-- part: {name} -->\n\n{kept[name]}" for name in order if name in kept]
    path.write_text("\n".join([_HEAD, *texts]), encoding="utf-8")
