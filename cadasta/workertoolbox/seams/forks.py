"""Python and uWSGI: what a process does first that was forked from another."""

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module


def after_fork(function: Callable[[], None]) -> None:
    """Let a function be called in each process that is forked from this one, before anything else happens there.

    uWSGI forks without a word to Python, unless its option ``py-call-uwsgi-fork-hooks`` is set. It has hooks of its own
    in the module ``uwsgidecorators``, which only its processes can import.

    :param function: the function. It may be called twice.
    """
    os.register_at_fork(after_in_child=function)
    # The module raises an Exception in a server that has no main process, and so does not fork.
    with suppress(Exception):
        import_module('uwsgidecorators').postfork(function)
