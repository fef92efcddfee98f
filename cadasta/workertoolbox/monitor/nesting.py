"""How deep JSON may be nested."""

import re
from itertools import accumulate

#: The deepest that is read, in levels. PostgreSQL and the JSON library have limits of their own, further up.
MAX_DEPTH = 200

# Strings, the last of which may have no end, and whatever else is no bracket. It never looks back, so its time grows
# with the text and no faster.
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
