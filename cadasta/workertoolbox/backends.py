"""Where results go."""

from typing import TypeGuard

_SCHEMES = ('db+', 'database+')


def is_database(backend: object) -> TypeGuard[str]:
    """Tell whether results go to a database.

    :param backend: Celery's ``result_backend``.

    >>> is_database('db+sqlite:///results.db'), is_database('redis://'), is_database(None)
    (True, False, False)
    """
    return isinstance(backend, str) and backend.startswith(_SCHEMES)
