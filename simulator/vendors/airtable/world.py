"""What an account of Airtable has: bases, their tables, and records whose empty cells are left out."""

from simulator.draw import Draw, iso_ms
from simulator.item import Fields, Item, Kind

COLUMNS = {
    "Name": "singleLineText",
    "Status": "singleSelect",
    "Owner": "singleLineText",
    "Reviewed": "checkbox",
    "Notes": "multilineText",
    "Score": "number",
}
VIEWS = {"Grid view": None, "Open": "Open"}
"""Views of every table, and the status that each shows; None for all."""


def _base(draw: Draw) -> Fields:
    return {"name": f"{draw.subject()} tracker", "permissionLevel": draw.one("create", "read")}


def _table(draw: Draw) -> Fields:
    fields = [{"id": f"fld{draw.base62(14)}", "name": name, "type": type_} for name, type_ in COLUMNS.items()]
    return {
        "name": f"{draw.subject()} {draw.number}",
        "primaryFieldId": fields[0]["id"],
        "fields": fields,
        "views": [{"id": f"viw{draw.base62(14)}", "name": name, "type": "grid"} for name in VIEWS],
    }


def _record(draw: Draw) -> Fields:
    return {
        "Name": f"{draw.subject()} {draw.number}",
        "Status": draw.one("Open", "Done", "Late"),
        "Owner": draw.one(draw.person(), None),
        "Reviewed": draw.one(True, None),  # an empty checkbox is an empty cell
        "Notes": draw.one(f"See {draw.subject().lower()}.", None),
        "Score": draw.one(draw.below(100), None),
    }


def as_record(item: Item, columns: frozenset[str] | None = None) -> Fields:
    """Return a record as the API shows it.

    Args:
        item: The record.
        columns: Which cells; None for all. Empty ones are left out.
    """
    cells = {
        name: value for name, value in item.fields.items() if value is not None and (columns is None or name in columns)
    }
    return {"id": item.id, "createdTime": iso_ms(int(item.created)), "fields": cells}


KINDS = (
    Kind("bases", lambda draw: f"app{draw.base62(14)}", _base, "name"),
    Kind("tables", lambda draw: f"tbl{draw.base62(14)}", _table, "name", parent="bases"),
    Kind("records", lambda draw: f"rec{draw.base62(14)}", _record, "Name", parent="tables"),
)
COUNTS = {"bases": 2, "tables": 2, "records": 130}
