"""What a search or query asks for: sort orders and time filters, read from the request's JSON."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from simulator.vendors.notion.listing import Field, Order
from simulator.vendors.notion.record import Record
from simulator.vendors.notion.shapes import invalid

Predicate = Callable[[Record], bool]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "on_or_after": operator.ge,
    "after": operator.gt,
    "on_or_before": operator.le,
    "before": operator.lt,
    "equals": operator.eq,
}
_MAX_DEPTH = 2  # Notion nests compound filters two levels deep


def search_order(sort: object) -> Order:
    """Read the `sort` of a search; the default is the last edited first."""
    if sort is None:
        return Order((("last_edited_time", True),))
    field, descending = _term(sort, "body.sort")
    if field != "last_edited_time":
        raise invalid("body.sort.timestamp should be `last_edited_time`.")
    return Order(((field, descending),))


def query_order(sorts: object) -> Order:
    """Read the `sorts` of a query; the default is the first created first."""
    if sorts is None or sorts == []:
        return Order()
    if not isinstance(sorts, list):
        raise invalid("body.sorts should be an array.")
    return Order(tuple(_term(sort, "body.sorts[]") for sort in sorts))


def search_object(value: object) -> str | None:
    """Read the `filter` of a search: `page`, `data_source`, or None for both."""
    match value:
        case None:
            return None
        case {"property": "object", "value": "page" | "data_source" as wanted}:
            return str(wanted)
    raise invalid(
        "body.filter should be "
        '{"property": "object", "value": "page"} or {"property": "object", "value": "data_source"}.'
    )


def time_filter(value: object, depth: int = 0) -> Predicate:
    """Read the `filter` of a query: a timestamp filter, or `and` / `or` of such.

    Raises:
        NotionError: 400 for anything else; the simulator's rows have no other properties to filter by.
    """
    match value:
        case None:
            return lambda record: True
        case {"and": [*parts]} if depth < _MAX_DEPTH:
            every = [time_filter(part, depth + 1) for part in parts]
            return lambda record: all(test(record) for test in every)
        case {"or": [*parts]} if depth < _MAX_DEPTH:
            some = [time_filter(part, depth + 1) for part in parts]
            return lambda record: any(test(record) for test in some)
        case {"timestamp": "created_time", "created_time": dict(condition)}:
            created = _condition(condition)
            return lambda record: created(record.created)
        case {"timestamp": "last_edited_time", "last_edited_time": dict(condition)}:
            edited = _condition(condition)
            return lambda record: edited(record.edited)
    raise invalid("body.filter should be a timestamp filter on `created_time` or `last_edited_time`.")


def _condition(condition: dict[str, Any]) -> Callable[[float], bool]:
    if len(condition) != 1 or not condition.keys() <= _COMPARE.keys():
        raise invalid(f"body.filter should have one of {', '.join(_COMPARE)}.")
    [(name, text)] = condition.items()
    compare, bound = _COMPARE[name], _epoch(text)
    return lambda at: compare(at, bound)


def _epoch(text: object) -> float:
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise invalid(f"body.filter should have an ISO 8601 date, instead was {text!r}.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _term(sort: object, where: str) -> tuple[Field, bool]:
    match sort:
        case {"timestamp": "created_time", "direction": "ascending" | "descending" as direction}:
            return "created_time", direction == "descending"
        case {"timestamp": "last_edited_time", "direction": "ascending" | "descending" as direction}:
            return "last_edited_time", direction == "descending"
    raise invalid(f"{where} should have a timestamp and a direction, `ascending` or `descending`.")
