"""Tell which refusals of a database are the fault of the data: waiting would not help, and the worker has to go on."""

from kombu.exceptions import EncodeError
from sqlalchemy.exc import DBAPIError

from ..database.refusals import blames_data, sqlstate

# PostgreSQL has no SQLSTATE of its own for these.
_TOO_LARGE = ('invalid memory alloc', 'string buffer')
# A column holds another type; no operator compares it with such a value.
_OTHER_TYPE = ('42804', '42883')
# So say psycopg2, psycopg and sqlite3 that there is no such type in the database.
_NO_TYPE = ("can't adapt type", 'cannot adapt type', 'Error binding parameter')
_SHOWN = 300


class Refused(EncodeError):  # noqa: N818  # the database refuses
    """The database refuses a state or a result of a task; Celery stores that the task failed because of it."""


def refusal(error: BaseException) -> Refused | None:
    """Tell whether an error of a database is the fault of the data.

    :param error: what storing a state raised.
    :returns: an error that says what the database refuses; `None` where the data are not to blame.

    >>> str(refusal(ValueError('A string literal cannot contain NUL (0x00) characters.')))
    'The database refuses it: A string literal cannot contain NUL (0x00) characters.'
    >>> refusal(ConnectionRefusedError())
    """
    if isinstance(error, DBAPIError):
        is_of_data = (
            blames_data(error)
            or sqlstate(error.orig) in _OTHER_TYPE
            or any(part in str(error.orig) for part in (*_TOO_LARGE, *_NO_TYPE))
        )
        if _was_first(error) or not is_of_data:
            return None
        error = error.orig or error
    elif not isinstance(error, ValueError | OverflowError | MemoryError):
        return None
    first_line, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return Refused(f'The database refuses it: {first_line[:_SHOWN]}')


def _was_first(error: DBAPIError) -> bool:
    """Tell whether somebody else has inserted the row meanwhile: Celery's own statements, repeated, will find it."""
    return sqlstate(error.orig) == '23505' or 'UNIQUE constraint failed' in str(error.orig)
