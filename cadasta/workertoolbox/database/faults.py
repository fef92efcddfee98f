"""Tell what an error of a database asks for: to wait, to try again, to send less, or to change something."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from ..errors import NotUsable
from ..settings.credentials import masked


class Fault(Enum):
    """The kinds of errors of a database, by what they ask for. The value says what the database does."""

    #: Nobody answers, or the database takes nothing for now. Wait, and say so.
    AWAY = 'is away'
    #: Somebody else is in the way. Try again, for a limited time.
    BLOCKED = 'is busy with others'
    #: The database has cut a statement short. Send less at once.
    SLOW = 'gives up a statement'
    #: It never comes right by itself. Say what to change.
    REFUSED = 'refuses'
    #: The database refuses these data, and accepts others.
    DATA = 'refuses the data'


_INSUFFICIENT_PRIVILEGE = '42501'
_REJECTED = '08004'
# The faults by SQLSTATE, or by its class, which is its first two characters.
_FAULTS: Mapping[str, Fault] = {
    _REJECTED: Fault.REFUSED,
    '0A': Fault.REFUSED,
    '22': Fault.DATA,
    '23': Fault.DATA,
    '28': Fault.REFUSED,
    '3D': Fault.REFUSED,
    '3F': Fault.REFUSED,
    '40001': Fault.BLOCKED,
    '40P01': Fault.BLOCKED,
    '42': Fault.REFUSED,
    '54': Fault.DATA,
    '55P03': Fault.BLOCKED,
    '57014': Fault.SLOW,
}
# The primary result codes of SQLite.
_SQLITE_FAULTS: Mapping[int, Fault] = {
    5: Fault.BLOCKED,  # another connection writes
    6: Fault.BLOCKED,  # another statement writes
    8: Fault.REFUSED,  # the file is read-only
    14: Fault.REFUSED,  # the file cannot be opened
    18: Fault.DATA,  # a value is too large
    19: Fault.DATA,  # a constraint
    20: Fault.DATA,  # a value is of another type
    26: Fault.REFUSED,  # the file is no database
}
# SQLite has no code of its own for a table or a column that is missing.
_NO_SUCH = 'no such '
# PostgreSQL has no SQLSTATE of its own for these.
_TOO_LARGE = ('invalid memory alloc', 'string buffer')
# A column holds another type; no operator compares it with such a value.
_OTHER_TYPE = ('42804', '42883')
# So say psycopg2, psycopg and sqlite3 that there is no such type in the database.
_NO_TYPE = ("can't adapt type", 'cannot adapt type', 'Error binding parameter')

# libpq keeps the SQLSTATE of a refused connection to itself, so only the text of the server tells. These are the texts
# of PostgreSQL, and of PgBouncer, in English. In another language, a refusal counts as an outage.
_CONNECT_STATES: Mapping[str, str] = {
    'authentication failed': '28P01',
    'no password supplied': '28P01',
    'pg_hba.conf': '28000',
    'is not permitted to log in': '28000',
    r'(role|user) "?.*"? does not exist|no such user': '28000',
    r'database ".*" does not exist|no such database': '3D000',
    'permission denied for database': _REJECTED,
    'unrecognized configuration parameter|invalid value for parameter|unsupported startup parameter': '42704',
}
# So says libpq of parameters that no server can mend. SQLSTATE has no code for them.
_BAD_PARAMETERS = re.compile(
    r'invalid (port number|integer value|\S+ value|connection option|URI)|definition of service|'
    r'invalid response to SSL negotiation|expected authentication request|server does not support SSL|'
    r'certificate verify failed|does not match host name|(certificate|key) file ".*"'
)
# libpq tells of each address that it tried, if a host has two or there are several hosts. The last one decided.
_ATTEMPT = 'connection to server at '

_URL = 'in the URL of the database, or in RESULT_DB_{}'
_ADVICE: Mapping[str, str] = {
    _REJECTED: 'Let the role connect: GRANT CONNECT ON DATABASE ... TO ...',
    '25006': 'The database is a standby, or default_transaction_read_only is on for it or for the role.',
    '28P01': f'Correct the user or the password {_URL.format("USER and RESULT_DB_PASS")}.',
    '28': 'Correct the user, or let it connect: its role needs LOGIN, and the server a line in pg_hba.conf.',
    '3D': f'Correct the name of the database {_URL.format("NAME")}, or create it.',
    _INSUFFICIENT_PRIVILEGE: 'Use a role that may, or give this one the right: celery -A PROJECT toolbox tables --help',
    '42P01': 'Create what is missing, with a role that may: celery -A PROJECT toolbox tables. If it is there, correct '
    'the search_path of the role.',
    '42703': 'Add what is missing, with a role that may: celery -A PROJECT toolbox tables',
    '3F': 'Create what is missing, with a role that may: celery -A PROJECT toolbox tables',
    '42704': "Correct the options in the URL of the database, or the role's settings.",
    '53100': 'Make room on the disk of the database.',
    '53300': "Raise the role's CONNECTION LIMIT or the server's max_connections, or connect less often.",
    '57014': 'Raise statement_timeout for the role: ALTER ROLE ... SET statement_timeout = ...',
    '55P03': 'Others hold a lock for longer than lock_timeout, which is set for the role or the database.',
}
_BAD_PARAMETERS_ADVICE = 'Correct the host, the port or the parameters in the URL of the database.'
_UNKNOWN_HOST = re.compile('could not translate host name|failed to resolve host')
_UNKNOWN_HOST_ADVICE = f'If this goes on, correct the host {_URL.format("HOST")}.'
_TOO_MANY = re.compile('too many (connections|clients)|connection slots are reserved')


def sqlstate(error: Any) -> str:
    """Tell the SQLSTATE of an error that a driver raised; it is empty where the driver gives none."""
    return str(getattr(error, 'pgcode', None) or getattr(error, 'sqlstate', None) or '')


def fault_of(error: DBAPIError) -> Fault:
    """Tell what an error of a database asks for.

    :param error: the error, as SQLAlchemy raises it.

    >>> import sqlalchemy
    >>> try:
    ...     sqlalchemy.create_engine('sqlite:////no/such/directory/tasks.db').connect()
    ... except DBAPIError as error:
    ...     print(fault_of(error))
    Fault.REFUSED
    """
    if error.connection_invalidated:
        return Fault.AWAY
    text = str(error.orig)
    if any(part in text for part in _TOO_LARGE):
        return Fault.DATA
    if (code := getattr(error.orig, 'sqlite_errorcode', None)) is not None:
        return Fault.REFUSED if _NO_SUCH in text else _SQLITE_FAULTS.get(code & 0xFF, Fault.AWAY)
    state = _state(error)
    if not state and _BAD_PARAMETERS.search(_last_attempt(text)):
        return Fault.REFUSED
    return _FAULTS.get(state) or _FAULTS.get(state[:2]) or _fault_by_class(error)


def blames_role(error: Any) -> bool:
    """Tell whether the database refused because the role lacks a right.

    :param error: the error that the driver raised.
    """
    return sqlstate(error) == _INSUFFICIENT_PRIVILEGE


def blames_values(error: DBAPIError) -> bool:
    """Tell whether the database refused the values, of which no one has looked at the types.

    :param error: the error, as SQLAlchemy raises it.
    """
    return (
        fault_of(error) is Fault.DATA
        or sqlstate(error.orig) in _OTHER_TYPE
        or any(part in str(error.orig) for part in _NO_TYPE)
    )


def was_first(error: DBAPIError) -> bool:
    """Tell whether somebody else has inserted the row meanwhile."""
    return sqlstate(error.orig) == '23505' or 'UNIQUE constraint failed' in str(error.orig)


def explained(error: DBAPIError) -> str:
    """Say what an error says, and what to change, where something has to be changed. It shows no credentials.

    :param error: the error, as SQLAlchemy raises it.
    """
    text = str(masked(str(error.orig).strip()))
    advice = _advice(error)
    return f'{text}{"" if text.endswith(".") else "."} {advice}' if advice else text


@contextmanager
def refusing(what: str = '') -> Iterator[None]:
    """Say that the database refuses a connection or a statement for good, and what to change.

    :param what: what it refuses, such as ``' to store tasks'``.
    :raises NotUsable: where it does so.
    """
    try:
        yield
    except DBAPIError as error:
        if fault_of(error) is not Fault.REFUSED:
            raise
        raise NotUsable(f'The database refuses{what}: {explained(error)}') from error


def _state(error: DBAPIError) -> str:
    if state := sqlstate(error.orig):
        return state
    text = _last_attempt(str(error.orig))
    return next((state for pattern, state in _CONNECT_STATES.items() if re.search(pattern, text)), '')


def _last_attempt(text: str) -> str:
    return text.rpartition(_ATTEMPT)[2]


def _fault_by_class(error: DBAPIError) -> Fault:
    if isinstance(error, IntegrityError | DataError):
        return Fault.DATA
    return Fault.REFUSED if isinstance(error, ProgrammingError) else Fault.AWAY


def _advice(error: DBAPIError) -> str:
    text = str(error.orig)
    state = _state(error) or ('53300' if _TOO_MANY.search(text) else '')
    if state:
        return _ADVICE.get(state) or _ADVICE.get(state[:2]) or ''
    if _UNKNOWN_HOST.search(text):
        return _UNKNOWN_HOST_ADVICE
    return _BAD_PARAMETERS_ADVICE if _BAD_PARAMETERS.search(_last_attempt(text)) else ''
