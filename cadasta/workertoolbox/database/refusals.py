"""Tell why a database refused a statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from ..errors import NotUsable

_INSUFFICIENT_PRIVILEGE = '42501'
# The SQLSTATE classes data exception, integrity constraint violation, and program limit exceeded.
_FAULTS_OF_DATA = ('22', '23', '54')


def sqlstate(error: Any) -> str:
    """Tell the SQLSTATE of an error that a driver raised; it is empty where the driver gives none."""
    return str(getattr(error, 'pgcode', None) or getattr(error, 'sqlstate', None) or '')


def blames_role(error: Any) -> bool:
    """Tell whether the database refused because the role lacks a right.

    :param error: the error that the driver raised.
    """
    return sqlstate(error) == _INSUFFICIENT_PRIVILEGE


def blames_data(error: DBAPIError) -> bool:
    """Tell whether the database refused the data itself, so that it will refuse the same data again."""
    if error.connection_invalidated:
        return False
    return sqlstate(error.orig).startswith(_FAULTS_OF_DATA) or isinstance(error, IntegrityError | DataError)


@contextmanager
def refusing(what: str = '') -> Iterator[None]:
    """Say that the database refuses a statement for good: a table is missing, or the role may not use it.

    :param what: what it refuses, such as ``' to store tasks'``.
    :raises NotUsable: where it does so.
    """
    try:
        yield
    except ProgrammingError as error:
        raise NotUsable(f'The database refuses{what}: {error.orig}') from error
