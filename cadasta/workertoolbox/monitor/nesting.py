"""Refuse JSON that is nested too deep, before anybody parses it."""

import re
from itertools import accumulate

#: The monitor reads no JSON that has more levels than this. PostgreSQL and Python's parser bear more.
MAX_DEPTH = 200

# This matches strings (the last one may have no end) and all other text without brackets. It never looks back, so its
# time grows no faster than the text.
_NO_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[^\[\]{}"]++', re.DOTALL)
_STEPS = {'[': 1, '{': 1, ']': -1, '}': -1}


def shallow(text: str) -> str:
    """Refuse JSON that is nested too deep.

    :param text: the JSON.
    :returns: the JSON.
    :raises ValueError: where it is deeper than `MAX_DEPTH`.

    >>> shallow('[[1], {"[": 2}]')
    '[[1], {"[": 2}]'
    """
    if text.count('[') + text.count('{') <= MAX_DEPTH:
        return text
    brackets = _NO_BRACKETS.sub('', text)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise ValueError(f'it is nested more than {MAX_DEPTH} levels deep')
    return text
