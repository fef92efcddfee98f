"""Write tasks as CSV."""

import csv
import json
import sys
from collections.abc import Iterable
from typing import Any

from ..tracked.documents import Written, document
from ..tracked.task import TrackedTask
from .safe_text import harmless

# A spreadsheet takes a text that begins so for a formula, and whoever sends a task chooses its name.
_FORMULA = ('=', '+', '-', '@')


def write(tasks: Iterable[TrackedTask], arguments: bool, written: Written) -> None:
    """Write a line with the names of the columns, and a line for each task, to the standard output.

    :param tasks: the tasks.
    :param arguments: whether to write their arguments, options, results and tracebacks.
    :param written: writes a moment.
    """
    writer = csv.writer(sys.stdout, lineterminator='\n')
    writer.writerow(document(TrackedTask('', ''), arguments))
    for task in tasks:
        writer.writerow(_cell(value, written) for value in document(task, arguments).values())


def _cell(value: Any, written: Written) -> Any:
    if isinstance(value, str):
        return harmless(f"'{value}" if value.startswith(_FORMULA) else value)
    if value is None or isinstance(value, int | float):
        return value
    return json.dumps(value) if isinstance(value, list | dict) else written(value)
