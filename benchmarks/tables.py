"""Aligned plain text."""

from collections.abc import Sequence


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
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
