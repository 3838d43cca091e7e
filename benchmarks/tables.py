"""Aligned plain text, and back."""

from collections.abc import Sequence
from itertools import pairwise

GUTTER = "  "
"""Between two columns; no cell has it inside."""


def table(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Align rows in columns.

    Args:
        rows: Cells; the first row is the head, and an empty row stays empty.
        left: How many columns are aligned to the left; numbers are not.

    Example:
        >>> print(table([["store", "p50"], ["memory", "1.5"]]))
        store   p50
        memory  1.5
    """
    widths = [max(len(cell) for cell in column) for column in zip(*filter(None, rows), strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append(GUTTER.join(cells).rstrip())
    return "\n".join(lines)


def cells_of(lines: Sequence[str]) -> list[list[str]] | None:
    """The rows of which `table` made these lines, or None if they are no table.

    Where two neighbouring places are blank in all lines, a column ends: no cell is blank there, for the longest of a
    column has no two blanks in a row.

    Example:
        >>> cells_of(["store   p50", "memory  1.5"])
        [['store', 'p50'], ['memory', '1.5']]
        >>> cells_of(["Medians of 7 rounds."]) is None
        True
    """
    width = max(map(len, lines))
    padded = [line.ljust(width) for line in lines]
    blank = [all(line[n] == " " for line in padded) for n in range(width)]
    starts = [0] + [n for n in range(2, width) if blank[n - 2] and blank[n - 1] and not blank[n]]
    if len(lines) < 2 or len(starts) < 2:
        return None
    return [[line[a:b].strip() for a, b in pairwise([*starts, width])] for line in padded]
