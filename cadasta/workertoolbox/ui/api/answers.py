"""Write answers as JSON and as CSV, a row at a time."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flask import abort, request
from werkzeug.wrappers import Response

from ...terminal.csv_lines import lines
from ...tracked.documents import in_zone

#: The formats, each with its media type.
FORMATS = {'json': 'application/json', 'csv': 'text/csv'}
DEFAULT = 'json'


class Found(NamedTuple):
    """The rows that an endpoint found.

    :param rows: the documents of the rows.
    :param around: the values of the document that has the rows; none where the row is the document.
    """

    rows: Iterable[Mapping[str, Any]]
    around: Mapping[str, Any]


def media_type(format_: str) -> str:
    """Give the media type of a format.

    :raises NotAcceptable: where the client does not accept it.
    """
    kind = FORMATS[format_]
    if request.headers.get('Accept') and not request.accept_mimetypes.best_match([kind, f'{kind}; charset=utf-8']):
        abort(406, f'This is {kind}, which the header Accept leaves out. The field `format` chooses the format.')
    return kind


def as_csv(found: Found, columns: Iterable[str]) -> Iterator[bytes]:
    """Write a table.

    :param found: what was found.
    :param columns: the keys of a row.
    """
    return (line.encode() for line in lines(columns, found.rows, in_zone))


def as_json(found: Found, key: str | None) -> Iterator[bytes]:
    """Write a document.

    :param found: what was found.
    :param key: the key of the rows; `None` where the one row is the document.

    >>> b''.join(as_json(Found([{'a': 1}, {'a': None}], {'next': None}), 'rows')).decode()
    '{"rows": [{"a": 1}, {"a": null}], "next": null}\\n'
    """
    if key is None:
        # Each value may have megabytes.
        (row,) = found.rows
        for number, (name, value) in enumerate(row.items()):
            yield (b', ' if number else b'{') + dumped(name) + b': ' + dumped(value)
        yield b'}'
    else:
        yield dumped({key: []})[:-2]
        for number, row in enumerate(found.rows):
            yield (b', ' if number else b'') + dumped(row)
        yield b'], ' + dumped(found.around)[1:]
    yield b'\n'


def dumped(value: Any) -> bytes:
    r"""Write a value as JSON that any program can read.

    >>> dumped(['\ud800', float('nan'), '\0']).decode()
    '["?", "NaN", "\\u0000"]'
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=in_zone)
    except ValueError:
        # SQLite stores numbers that JSON does not know.
        plain = json.loads(json.dumps(value, default=in_zone), parse_constant=str)
        text = json.dumps(plain, ensure_ascii=False)
    # Half of a surrogate pair is no character.
    return text.encode(errors='replace')


def response(chunks: Iterable[bytes], kind: str, name: str, following: str | None) -> Response:
    """Make the response.

    :param chunks: what it says.
    :param kind: its media type.
    :param name: the name under which a browser saves a table.
    :param following: the address of the next rows, if there are any.
    """
    answer = Response(chunks, content_type=kind)
    if kind == FORMATS['csv']:
        answer.headers['Content-Type'] = f'{kind}; charset=utf-8; header=present'
        answer.headers['Content-Disposition'] = f'attachment; filename={name}.csv'
    if following is not None:
        answer.headers['Link'] = f'<{following}>; rel="next"'
    return answer
