"""Describe values by JSON Schema, as the code has their types and texts."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ...tracked.documents import Row, keys

_SIMPLE: Mapping[Any, dict[str, Any]] = {
    Any: {},
    str: {'type': 'string'},
    int: {'type': 'integer'},
    float: {'type': 'number'},
    datetime: {'type': 'string', 'format': 'date-time'},
}
_PARAMETER = re.compile(r':param (\w+):\s+(.+?)(?=\n\s*:|\n\s*\n|\Z)', re.DOTALL)


@cache
def told(kind: Any, arguments: bool = False) -> Mapping[str, Any]:
    """Give the keys of the document of a row, each with the type of its value and what its class says of it.

    :param kind: the class of the row.
    :param arguments: whether the document includes arguments.
    """
    hints = keys(kind, arguments) if kind in get_args(Row) else get_type_hints(kind)
    texts = {name: ' '.join(text.split()) for name, text in _PARAMETER.findall(kind.__doc__ or '')}
    return {name: Annotated[hint, _sentence(texts.get(name, ''))] for name, hint in hints.items()}


def schema(kind: Any) -> dict[str, Any]:
    """Give the JSON Schema of a type.

    :param kind: the type; for an object, its keys, each with the type of its value. A type may be annotated by what it
        is, and a list by the keys of its objects.

    >>> schema(Annotated[float | None, 'Seconds.'])
    {'type': ['number', 'null'], 'description': 'Seconds.'}
    >>> schema({'queues': list[str]})['properties']
    {'queues': {'type': 'array', 'items': {'type': 'string'}}}
    """
    if isinstance(kind, Mapping):
        properties = {name: schema(value) for name, value in kind.items()}
        return {'type': 'object', 'properties': properties, 'required': [*kind], 'additionalProperties': False}
    if get_origin(kind) is Annotated:
        inner, text, *items = get_args(kind)
        found = {'type': 'array', 'items': schema(items[0])} if items else schema(inner)
        return {**found, 'description': text} if text else found
    if get_origin(kind) is UnionType:
        (inner,) = (part for part in get_args(kind) if part is not NoneType)
        found = schema(inner)
        return {**found, 'type': [found['type'], 'null']}
    if get_origin(kind) in (list, Sequence):
        return {'type': 'array', 'items': schema(*get_args(kind))}
    if get_origin(kind) is dict:
        return {'type': 'object', 'additionalProperties': schema(get_args(kind)[1])}
    return dict(_SIMPLE[kind])


def _sentence(text: str) -> str:
    # A docstring goes on after a colon, in small letters and with the markup of Sphinx.
    plain = text.replace('``', '`')
    return plain[:1].upper() + plain[1:]
