"""Values that work like any other, but have a `repr` that hides them.

So a container that holds them can be printed, logged with ``%r`` and reported. ``str()``, ``%s`` and f-strings give
the text itself, as plain `str`: brokers and databases need it.
"""

from typing import Any

MASK = '*' * 8


class SecretText(str):
    """Text that holds a credential.

    :param text: the text.
    :param shown: the text that its ``repr`` shows.

    >>> url = SecretText('amqp://guest:hush@localhost//', 'amqp://********@localhost//')
    >>> url, url.startswith('amqp://guest:hush')
    ('amqp://********@localhost//', True)
    """

    __slots__ = ('shown',)
    shown: str

    def __new__(cls, text: str, shown: str = MASK) -> 'SecretText':
        self = super().__new__(cls, text)
        self.shown = shown
        return self

    def __repr__(self) -> str:
        return repr(self.shown)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.shown)


class SecretBytes(bytes):
    """Bytes that hold a credential.

    >>> SecretBytes(b'hush'), SecretBytes(b'hush') == b'hush'
    ('********', True)
    """

    def __repr__(self) -> str:
        return repr(MASK)

    # The `str` of `bytes` would show the credential.
    __str__ = __repr__


class SecretNumber(int):
    """A whole number that is a credential.

    >>> SecretNumber(1234), SecretNumber(1234) == 1234, str(SecretNumber(1234))
    ('********', True, '1234')
    """

    def __repr__(self) -> str:
        return repr(MASK)

    # The `str` of `int` would be the `repr`, which is asterisks.
    __str__ = int.__repr__
