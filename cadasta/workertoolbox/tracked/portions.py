"""Conditions with many values, as several of fewer values."""

from collections.abc import Iterator
from typing import TypeVar

_T = TypeVar('_T')

#: How many values a condition has at most. SQLite allows 32,766, and one of ours may be two of its own.
VALUES = 500


def portions(items: list[_T], size: int) -> Iterator[list[_T]]:
    """Cut a list into parts.

    >>> list(portions(['1', '2', '3'], 2))
    [['1', '2'], ['3']]
    """
    return (items[start : start + size] for start in range(0, len(items), size))
