"""Write rows as CSV."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..tracked.documents import Written
from .safe_text import harmless

# A spreadsheet takes a text that begins so for a formula, and whoever sends a task chooses its name. Some take the wide
# forms of the signs for the signs.
_FORMULA = tuple('=+-@\uff1d\uff0b\uff0d\uff20')


class _Given:
    """Gives each line back to whoever writes it."""

    def write(self, line: str) -> str:
        return line


def lines(columns: Iterable[str], rows: Iterable[Mapping[str, Any]], written: Written) -> Iterator[str]:
    r"""Give a line with the names of the columns, and a line for each row.

    :param columns: the names.
    :param rows: the documents of the rows, with these keys in this order.
    :param written: writes a moment.

    >>> list(lines(['name', 'tasks'], [{'name': '=1+1', 'tasks': 7}], str))
    ['name,tasks\n', "'=1+1,7\n"]
    """
    writer = csv.writer(_Given(), lineterminator='\n')
    yield str(writer.writerow(columns))
    for row in rows:
        yield str(writer.writerow(_cell(value, written) for value in row.values()))


def _cell(value: Any, written: Written) -> Any:
    if isinstance(value, str):
        return harmless(f"'{value}" if value.startswith(_FORMULA) else value)
    if value is None or isinstance(value, int | float):
        return value
    return json.dumps(value, default=written) if isinstance(value, list | dict) else written(value)
