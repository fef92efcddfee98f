"""Split a condition with many values into several with fewer values."""

from collections.abc import Iterator
from typing import TypeVar

_T = TypeVar('_T')

#: The most values in a condition. SQLite allows 32,766 in a statement, and may count one of ours as two.
VALUES = 500


def portions(items: list[_T], size: int) -> Iterator[list[_T]]:
    """Cut a list into parts.

    >>> list(portions(['1', '2', '3'], 2))
    [['1', '2'], ['3']]
    """
    return (items[start : start + size] for start in range(0, len(items), size))
