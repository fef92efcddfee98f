"""Look at the settings of a database and of a role: some keep others from writing, and some hide why."""

import re
from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from ..database.session import SETTINGS
from .finding import Outcome, Problem

_ENGLISH = re.compile('C|POSIX|en|$')
_TIMEOUTS = ('statement_timeout', 'lock_timeout')
_NAMES = (
    *('default_transaction_read_only', 'lc_messages', 'server_encoding', 'synchronous_commit'),
    *_TIMEOUTS,
    *SETTINGS,
)
# The check changes some of them for its own session. Nobody can change the encoding.
_SETTINGS = """
SELECT name, CASE name WHEN 'server_encoding' THEN setting ELSE COALESCE(reset_val, '') END AS value
FROM pg_settings WHERE name IN :names"""
_ASYNCHRONOUS = 'synchronous_commit is off: a server that crashes may lose the last results'
_RECOVERY = 'SELECT pg_is_in_recovery()'


def look_at_settings(connection: sa.Connection, writes: bool) -> Outcome:
    """Look at the settings with which a session of this role begins.

    :param connection: a connection to PostgreSQL.
    :param writes: whether the role has to write. Otherwise, the check says that it cannot, and that is no problem.
    """
    query = sa.text(_SETTINGS).bindparams(sa.bindparam('names', _NAMES, expanding=True))
    settings: dict[str, str] = {row.name: row.value for row in connection.execute(query)}
    problems, remarks = [], list(_remarks(settings))
    if reason := _read_only(connection, settings):
        if writes:
            problems.append(Problem('the database', reason, 'Connect to the primary, or let the role write there.'))
        else:
            remarks.insert(0, reason)
    if settings['server_encoding'] != 'UTF8':
        seen = f'it holds text as {settings["server_encoding"]}, and refuses characters that this has no room for'
        problems.append(Problem('the database', seen, "Make it anew: CREATE DATABASE ... ENCODING 'UTF8'"))
    asides = [_ASYNCHRONOUS] if settings['synchronous_commit'] == 'off' else []
    return Outcome(tuple(problems), note='; '.join([*remarks, *asides]), is_noteworthy=bool(remarks))


def _read_only(connection: sa.Connection, settings: Mapping[str, str]) -> str:
    if connection.scalar(sa.text(_RECOVERY)):
        return 'it is a standby, and takes nothing'
    if settings['default_transaction_read_only'] == 'on':
        return 'it takes nothing: default_transaction_read_only is on'
    return ''


def _remarks(settings: Mapping[str, str]) -> Iterator[str]:
    for name in _TIMEOUTS:
        if settings[name] != '0':
            yield f'{name} is {settings[name]} ms: what takes longer is tried again in smaller parts, and waits'
    if not _ENGLISH.match(settings['lc_messages']):
        yield f'lc_messages is {settings["lc_messages"]}: a wrong password counts as an outage, for no code tells it'
    for name, value in SETTINGS.items():
        if settings[name] != value:
            yield f'{name} is {settings[name]}: each session changes it to {value}, which PgBouncer may undo'
