"""Show a value of a message in the reason why it was rejected."""

import reprlib

_LONGEST = 100
# The representation of the whole value might need several times its memory.
_BEGINNING = reprlib.Repr()
_BEGINNING.maxstring = _BEGINNING.maxlong = _BEGINNING.maxother = _LONGEST


def shown(value: object) -> str:
    """Show a value, or the beginning of a long one.

    :param value: the value.
    :returns: text of at most 100 characters.

    >>> shown('soon'), len(shown(10**6 * 'x'))
    ("'soon'", 100)
    """
    return _BEGINNING.repr(value)[:_LONGEST]
