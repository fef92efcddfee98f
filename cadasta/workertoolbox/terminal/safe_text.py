"""Write tasks as text that is harmless to a terminal, even where an attacker chose the names."""

import json
import unicodedata
from typing import Any

from ..tracked.documents import result_text
from ..tracked.extent import Text
from ..tracked.raised import error_of
from ..tracked.task import TrackedTask

# Controls, formats such as those that turn the direction of a text, halves of characters, ends of lines and paragraphs.
_HARMFUL = ('Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp')


def harmless(text: str) -> str:
    r"""Spell out the characters that a terminal would obey.

    >>> print(harmless('\x1b[31mred'))
    \x1b[31mred
    """
    if text.isascii() and text.isprintable():
        return text
    return ''.join(
        character.encode('unicode_escape').decode() if unicodedata.category(character) in _HARMFUL else character
        for character in text
    )


def call(task: TrackedTask) -> str:
    """Write the arguments of a task, and the value that it returned or raised.

    >>> call(TrackedTask('1', 'SUCCESS', args=[7], kwargs={'page': 2}, result=b'"a.pdf"'))
    '(7, page=2) → "a.pdf"'
    >>> error = b'{"exc_type": "KeyError", "exc_message": ["parcel 42"], "exc_module": "builtins"}'
    >>> call(TrackedTask('1', 'FAILURE', result=error))
    '() → KeyError: parcel 42'
    """
    if isinstance(task.args, Text):
        # Nobody reads what comes after the beginning of arguments that are so long.
        return harmless(f'({task.args[1:]}')
    result = '' if task.result is None else f' → {error_of(task) or result_text(task.result)}'
    if isinstance(task.args, str):
        # The monitor stores no arguments here: these are the texts that the sender chose to show.
        return harmless(f'{task.args} {task.kwargs or ""}'.rstrip() + result)
    # These may be of any type in a message of the first protocol: nothing has checked them.
    args = [_json(item) for item in task.args] if isinstance(task.args, list) else []
    named = [f'{name}={_json(item)}' for name, item in task.kwargs.items()] if isinstance(task.kwargs, dict) else []
    if isinstance(task.kwargs, Text):
        return harmless(f'({", ".join([*args, task.kwargs[1:]])}')
    return harmless(f'({", ".join([*args, *named])}){result}')


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
