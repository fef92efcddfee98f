"""How much is read of the values of a task that may be large."""

import codecs
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..architecture import CHORD_UNLOCK

#: The columns whose values may have megabytes. They hold arguments and results, or messages that may quote them.
LARGE = ('args', 'kwargs', 'options', 'result', 'traceback')
_ARGUMENTS = ('args', 'kwargs')
_JSON = (*_ARGUMENTS, 'options')
_LENGTH = '_length'


class Extent(NamedTuple):
    """How much is read of arguments, options, results and tracebacks. All other columns are always read.

    :param columns: those of the columns ``args``, ``kwargs``, ``options``, ``result`` and ``traceback`` that are read.
        The others are `None` in the tasks.
    :param longest: the most characters that are read of each; `None` for all. Of a longer value there is the beginning,
        as text or bytes with an attribute ``more``: how many characters are missing.
    :param arguments_of: the name of the tasks whose arguments are read; `None` for all.

    >>> Extent(('args', 'kwargs'), 500).longest
    500
    """

    columns: Collection[str] = LARGE
    longest: int | None = None
    arguments_of: str | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether the values of a task cannot have megabytes."""
        return not self.columns or self.longest is not None


#: Everything.
WHOLE = Extent()
#: Nothing that may be large.
BRIEF = Extent(())
#: The values that tell how the tasks of a workflow belong together.
STRUCTURE = Extent(_JSON, arguments_of=CHORD_UNLOCK)


class Text(str):
    """The beginning of a text, or of a JSON value as text.

    :param text: the beginning.
    :param more: the number of characters that are missing.

    >>> Text('[7, 8', 3).more
    3
    """

    def __new__(cls, text: str, more: int = 0) -> 'Text':
        self = super().__new__(cls, text)
        self.more = more
        return self

    more: int


class Bytes(bytes):
    """The beginning of a result.

    :param beginning: the beginning.
    :param more: the number of bytes that are missing.

    >>> Bytes(b'"/exports/7', 9).more
    9
    """

    def __new__(cls, beginning: bytes, more: int = 0) -> 'Bytes':
        self = super().__new__(cls, beginning)
        self.more = more
        return self

    more: int

    def text(self) -> str:
        """Decode it, without the beginning of a character whose end is missing.

        :raises UnicodeDecodeError: where it is no text.
        """
        return codecs.getincrementaldecoder('utf-8')().decode(self)


def selected(columns: Any, extent: Extent) -> Iterator[sa.ColumnElement[Any]]:
    """Give what a statement selects, so that `read` can make the values of it.

    :param columns: the columns of a view, or of a part of it.
    :param extent: how much to read.
    """
    yield from (column for column in columns if column.name not in LARGE)
    for name in extent.columns:
        if extent.longest is None:
            yield _value(columns, name, extent).label(name)
        else:
            text = _text(columns, name, extent)
            yield sa.func.substr(text, 1, extent.longest, type_=text.type).label(name)
            yield sa.func.length(text).label(name + _LENGTH)


def size(columns: Any, extent: Extent) -> sa.ColumnElement[int]:
    """Give the expression for the length of all large values of a row together, in characters.

    :param columns: the columns of a view.
    :param extent: how much to read.
    """
    total: sa.ColumnElement[int] = sa.literal(0)
    for name in extent.columns:
        total = total + sa.func.coalesce(sa.func.length(_text(columns, name, extent)), 0)
    return total


def read(row: Mapping[str, Any], extent: Extent) -> dict[str, Any]:
    """Make the values of a row, by column.

    :param row: the row.
    :param extent: how much was selected.
    """
    if extent.longest is None:
        return dict(row)
    found = {name: value for name, value in row.items() if not name.endswith(_LENGTH)}
    for name in extent.columns:
        if found[name] is not None:
            found[name] = _beginning(name, found[name], row[name + _LENGTH] - extent.longest)
    return found


def _beginning(name: str, value: Any, more: int) -> Any:
    if more <= 0:
        return json.loads(value) if name in _JSON else value
    return Bytes(value, more) if isinstance(value, bytes) else Text(value, more)


def _value(columns: Any, name: str, extent: Extent) -> sa.ColumnElement[Any]:
    value: sa.ColumnElement[Any] = columns[name]
    if extent.arguments_of is None or name not in _ARGUMENTS:
        return value
    return sa.case((columns.name == extent.arguments_of, value))


def _text(columns: Any, name: str, extent: Extent) -> sa.ColumnElement[Any]:
    value = _value(columns, name, extent)
    return sa.cast(value, sa.Text) if name in _JSON else value
