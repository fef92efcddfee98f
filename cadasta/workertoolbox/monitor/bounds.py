"""Refuse JSON that is nested too deep, or whose values would need too much memory, before anybody parses it.

A value takes much more memory than its text: 8 kB of compressed text may hold millions of empty lists, and half a
gigabyte when they are parsed.
"""

import re
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate

#: The monitor reads no body that is larger than this, also once it is decompressed, in bytes.
MAX_BODY = 8 * 2**20
#: The monitor reads no envelope that is larger than this, in bytes. A body in base64 takes a third more.
MAX_ENVELOPE = 12 * 2**20
#: The monitor reads no envelope whose headers and properties together are larger than this, in bytes.
MAX_HEADERS = 2 * 2**20
#: It reads no envelope whose values would need more memory than this, in bytes. A body in an envelope is one text.
MAX_HEADERS_MEMORY = 4 * 2**20
#: The monitor keeps this much of what is larger, in bytes.
KEPT = 2**20
#: The monitor reads no JSON that has more levels than this. PostgreSQL and Python's parser bear more.
MAX_DEPTH = 200
#: The monitor reads no JSON whose values would need more memory than this, in bytes.
MAX_MEMORY = 24 * 2**20

# The memory of a small value, in bytes: a number, a short text, an empty list. A dict needs that of two, and each of
# its keys as well, because Python keeps tables for them.
_VALUE = 64
# A byte is a character of at most four bytes in memory, and a brace or colon counts as two values.
_MOST_OF_A_BYTE = 4 + 2 * _VALUE
_CHUNK = 2**16
_PAIR = re.compile(rb'\\u[dD][89abAB]')
_BRACKETS = b'[]{}'
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEPS = dict(zip(_BRACKETS, (1, -1, 1, -1), strict=True))


def bounded(data: bytes) -> str:
    """Decode JSON that is not parsed yet.

    :param data: the JSON, in UTF-8.
    :returns: the JSON as text.
    :raises ValueError: where it is not UTF-8, deeper than `MAX_DEPTH`, or needs more memory than `MAX_MEMORY`.

    >>> bounded(b'[[1], {"[": 2}]')
    '[[1], {"[": 2}]'
    """
    return _decoded(data, MAX_MEMORY, _memory)


def bounded_envelope(data: bytes) -> str:
    """Decode the JSON of an envelope that is not parsed yet.

    :param data: the JSON, in UTF-8.
    :returns: the JSON as text.
    :raises ValueError: where it is not UTF-8, deeper than `MAX_DEPTH`, or needs more memory than `MAX_HEADERS_MEMORY`.

    >>> bounded_envelope(b'{"body": "[7]"}')
    '{"body": "[7]"}'
    """
    return _decoded(data, MAX_HEADERS_MEMORY, lambda data, _: _values_memory(data))


def _decoded(data: bytes, most: int, memory: Callable[[bytes, str], int]) -> str:
    text = data.decode()
    if len(data) > most // _MOST_OF_A_BYTE and (needed := memory(data, text)) > most:
        raise ValueError(f'its values need {needed / 2**20:.1f} MiB of memory, and may need {most / 2**20:.0f}')
    shallow(text)
    return text


def shallow(text: str) -> None:
    """Refuse JSON that is nested too deep.

    :param text: the JSON.
    :raises ValueError: where it is deeper than `MAX_DEPTH`.

    >>> shallow('[' * 200 + ']' * 200)
    """
    if text.count('[') + text.count('{') > MAX_DEPTH and _depth(text.encode()) > MAX_DEPTH:
        raise ValueError(f'it is nested more than {MAX_DEPTH} levels deep')


def at_most(data: bytes) -> int:
    """Say how much memory the values of JSON may need, in bytes. It is quick, and may be far too much.

    :param data: the JSON.

    >>> at_most(b'[7, 8]')
    152
    """
    return 4 * len(data) + _VALUE * _values(data)


def _values(data: bytes) -> int:
    return data.count(b',') + data.count(b'[') + 2 * (data.count(b'{') + data.count(b':'))


def _memory(data: bytes, text: str) -> int:
    escaped = data.replace(b'\\\\', b'')
    escapes = escaped.count(b'\\u')
    # Python stores each text by the widest of its characters, in 1, 2 or 4 bytes each.
    width = max(sys.getsizeof(text) // len(text), 4 if _PAIR.search(escaped) else 2 if escapes else 1)
    return width * (len(text) - 5 * escapes) + _values_memory(data)


def _values_memory(data: bytes) -> int:
    return _VALUE * sum(map(_values, _outside(data)))


def _depth(data: bytes) -> int:
    depth, deepest = 0, 0
    for chunk in _outside(data):
        depths = list(accumulate(map(_STEPS.__getitem__, chunk.translate(None, _NO_BRACKETS)), initial=depth))
        depth, deepest = depths[-1], max(deepest, *depths)
    return deepest


def _outside(data: bytes) -> Iterator[bytes]:
    """Give what is outside of strings, in pieces."""
    # A backslash is escaped by the one before it. The last of an odd number of them escapes what follows.
    quotes = data.replace(b'\\\\', b'').replace(b'\\"', b'')
    is_inside = False
    for start in range(0, len(quotes), _CHUNK):
        parts = quotes[start : start + _CHUNK].split(b'"')
        yield b''.join(parts[is_inside::2])
        is_inside ^= len(parts) % 2 == 0
