"""Give freed memory back to the system."""

import ctypes
from contextlib import suppress

# M_TRIM_THRESHOLD of mallopt(3), and its default before glibc changes it.
_TRIM_THRESHOLD, _DEFAULT = -1, 128 * 2**10


def give_back() -> None:
    """Let the C library give freed memory back at once.

    glibc keeps up to 64 MiB for later, once a program has freed a block of megabytes. Other libraries have no such
    function, and need none.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, _DEFAULT)
