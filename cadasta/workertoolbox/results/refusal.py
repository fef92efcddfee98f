"""Tell which refusals of a database are the fault of the data: waiting would not help, and the worker has to go on."""

from kombu.exceptions import EncodeError
from sqlalchemy.exc import DBAPIError

from ..database.faults import blames_values, was_first

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
        # Celery's own statements, repeated, will find the row that somebody else has inserted.
        if was_first(error) or not blames_values(error):
            return None
        error = error.orig or error
    elif not isinstance(error, ValueError | OverflowError | MemoryError):
        return None
    first_line, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return Refused(f'The database refuses it: {first_line[:_SHOWN]}')
