"""Each error of a database is waited for or told, with what the reader should change."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from cadasta.workertoolbox.database.faults import (
    Fault,
    blames_role,
    blames_values,
    explained,
    fault_of,
    refusing,
    sqlstate,
    was_first,
)
from cadasta.workertoolbox.errors import NotUsable

AT = 'connection to server at "db" (10.0.0.7), port 5432 failed: '


def not_connected(text: str) -> DBAPIError:
    """libpq gives no SQLSTATE for a connection that it could not make."""
    return OperationalError('', {}, psycopg2.OperationalError(text))


def answered(state: str, text: str = 'no') -> DBAPIError:
    class Answer(psycopg2.DatabaseError):
        pgcode = state

    return DBAPIError('', {}, Answer(text))


@pytest.mark.parametrize(
    ('text', 'change'),
    [
        (f'{AT}FATAL:  password authentication failed for user "ada"', 'RESULT_DB_PASS'),
        (f'{AT}fe_sendauth: no password supplied', 'RESULT_DB_PASS'),
        (f'{AT}FATAL:  Peer authentication failed for user "ada"', 'RESULT_DB_USER'),
        (f'{AT}FATAL:  no pg_hba.conf entry for host "10.0.0.8", user "ada", no encryption', 'a line in pg_hba.conf'),
        (f'{AT}FATAL:  role "ada" is not permitted to log in', 'LOGIN'),
        (f'{AT}FATAL:  role "ada" does not exist', 'Correct the user'),
        (f'{AT}FATAL:  no such user: ada', 'Correct the user'),
        (f'{AT}FATAL:  database "tasks" does not exist', 'RESULT_DB_NAME'),
        (f'{AT}FATAL:  no such database: tasks', 'RESULT_DB_NAME'),
        (f'{AT}FATAL:  permission denied for database "tasks"\nDETAIL:  No CONNECT privilege.', 'GRANT CONNECT'),
        (f'{AT}FATAL:  unrecognized configuration parameter "serch_path"', 'options in the URL'),
        (f'{AT}FATAL:  unsupported startup parameter: options', 'options in the URL'),
        (f'{AT}server does not support SSL, but SSL was required', 'parameters in the URL'),
        (f'{AT}SSL error: certificate verify failed', 'parameters in the URL'),
        ('root certificate file "/none" does not exist', 'parameters in the URL'),
        (f'{AT}received invalid response to SSL negotiation: H', 'the port'),
        (f'{AT}expected authentication request from server, but received H', 'the port'),
        ('invalid port number: "70000"', 'the port'),
        ('invalid integer value "soon" for connection option "connect_timeout"', 'parameters in the URL'),
        ('invalid sslmode value: "maybe"', 'parameters in the URL'),
        ('definition of service "x" not found', 'parameters in the URL'),
        # Each address of a host is tried, and the last one decides.
        (f'{AT}Connection refused\n{AT}FATAL:  password authentication failed for user "ada"', 'RESULT_DB_PASS'),
    ],
)
def test_a_connection_that_never_comes_right(text: str, change: str) -> None:
    error = not_connected(text)
    assert fault_of(error) is Fault.REFUSED
    assert explained(error).startswith(text)
    assert change in explained(error).removeprefix(text)
    with pytest.raises(NotUsable, match=change), refusing():
        raise error


@pytest.mark.parametrize(
    ('text', 'change'),
    [
        (f'{AT}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?', ''),
        (f'{AT}timeout expired', ''),
        (f'{AT}server closed the connection unexpectedly', ''),
        (f'{AT}FATAL:  the database system is starting up', ''),
        (f'{AT}FATAL:  the database system is shutting down', ''),
        (f'{AT}FATAL:  the database system is not yet accepting connections', ''),
        (f'{AT}FATAL:  database "tasks" is not currently accepting connections', ''),
        (f'{AT}FATAL:  sorry, too many clients already', 'CONNECTION LIMIT'),
        (f'{AT}FATAL:  too many connections for role "ada"', 'CONNECTION LIMIT'),
        (f'{AT}FATAL:  remaining connection slots are reserved for roles with SUPERUSER', 'CONNECTION LIMIT'),
        (f'{AT}session is read-only', ''),
        # A container that is stopped has no name either.
        ('could not translate host name "db" to address: Name or service not known', 'correct the host'),
        ('could not translate host name "db" to address: Temporary failure in name resolution', 'correct the host'),
        # libpq would have told of the last address alone whether it refuses for good.
        (f'{AT}FATAL:  no pg_hba.conf entry for host "::1"\n{AT}FATAL:  the database system is starting up', ''),
        # Nobody can tell this from an outage: the server speaks another language.
        (f'{AT}FATAL:  Passwort-Authentifizierung für Benutzer »ada« fehlgeschlagen', ''),
    ],
)
def test_a_connection_that_may_come_right(text: str, change: str) -> None:
    error = not_connected(text)
    assert fault_of(error) is Fault.AWAY
    assert (change in explained(error).removeprefix(text)) if change else explained(error) == text
    with pytest.raises(OperationalError), refusing():
        raise error


@pytest.mark.parametrize(
    ('state', 'fault', 'change'),
    [
        ('25006', Fault.AWAY, 'default_transaction_read_only'),
        ('25P03', Fault.AWAY, ''),
        ('53100', Fault.AWAY, 'Make room'),
        ('53200', Fault.AWAY, ''),
        ('53300', Fault.AWAY, 'CONNECTION LIMIT'),
        ('57P01', Fault.AWAY, ''),
        ('57P03', Fault.AWAY, ''),
        ('58030', Fault.AWAY, ''),
        ('40001', Fault.BLOCKED, ''),
        ('40P01', Fault.BLOCKED, ''),
        ('55P03', Fault.BLOCKED, 'lock_timeout'),
        ('57014', Fault.SLOW, 'statement_timeout'),
        ('28P01', Fault.REFUSED, 'RESULT_DB_PASS'),
        ('28000', Fault.REFUSED, 'pg_hba.conf'),
        ('3D000', Fault.REFUSED, 'RESULT_DB_NAME'),
        ('3F000', Fault.REFUSED, 'toolbox tables'),
        ('42501', Fault.REFUSED, 'toolbox tables --help'),
        ('42P01', Fault.REFUSED, 'toolbox tables'),
        ('42703', Fault.REFUSED, 'toolbox tables'),
        ('42601', Fault.REFUSED, ''),
        ('0A000', Fault.REFUSED, ''),
        ('22001', Fault.DATA, ''),
        ('23514', Fault.DATA, ''),
        ('54000', Fault.DATA, ''),
    ],
)
def test_a_code(state: str, fault: Fault, change: str) -> None:
    error = answered(state)
    assert fault_of(error) is fault
    assert (change in explained(error)) if change else explained(error) == 'no'


def test_other_errors() -> None:
    assert fault_of(answered('XX000', 'invalid memory alloc request size 1073741824')) is Fault.DATA
    assert fault_of(ProgrammingError('', {}, psycopg2.ProgrammingError('invalid dsn'))) is Fault.REFUSED
    assert fault_of(InterfaceError('', {}, psycopg2.InterfaceError('connection already closed'))) is Fault.AWAY
    assert fault_of(sa.exc.IntegrityError('', {}, Exception('UNIQUE'))) is Fault.DATA
    broken = answered('23505')
    broken.connection_invalidated = True
    assert fault_of(broken) is Fault.AWAY


def test_a_value_of_a_type_that_nobody_has_looked_at() -> None:
    for error in (answered('42804'), answered('42883'), not_connected("can't adapt type 'object'"), answered('22P02')):
        assert blames_values(error)
    assert not blames_values(answered('42P01'))


def test_credentials_are_not_shown() -> None:
    error = not_connected('invalid URI: postgresql://ada:hush@db/tasks')
    assert 'hush' not in explained(error)
    assert fault_of(error) is Fault.REFUSED


class TestSQLite:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / 'tasks.db'
        with sqlite3.connect(path) as connection:
            connection.execute('CREATE TABLE t (a INTEGER CHECK (a > 0))')
        return path

    def fails(self, url: str, statement: str) -> Fault:
        engine = sa.create_engine(f'sqlite:///{url}', poolclass=sa.NullPool, connect_args={'timeout': 0})
        with pytest.raises(DBAPIError) as raised, engine.connect() as connection:
            connection.execute(sa.text(statement))
        return fault_of(raised.value)

    def test_what_it_says(self, path: Path, tmp_path: Path) -> None:
        (tmp_path / 'text').write_text('no database, but a text that is long enough\n' * 100)
        assert self.fails(f'{path}', 'SELECT b FROM t') is Fault.REFUSED
        assert self.fails(f'{path}', 'SELECT a FROM u') is Fault.REFUSED
        assert self.fails(f'{path}', 'INSERT INTO t VALUES (0)') is Fault.DATA
        assert self.fails(f'file:{path}?mode=ro&uri=true', 'INSERT INTO t VALUES (1)') is Fault.REFUSED
        assert self.fails(f'{tmp_path}/text', 'SELECT 1 FROM t') is Fault.REFUSED
        assert self.fails(f'{tmp_path}/none/tasks.db', 'SELECT 1') is Fault.REFUSED

    def test_somebody_else_writes(self, path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute('INSERT INTO t VALUES (1)')
            assert self.fails(f'{path}', 'INSERT INTO t VALUES (2)') is Fault.BLOCKED


def test_what_a_server_says_of_a_value_is_no_fault_of_the_url() -> None:
    """The text alone could be that of libpq about a parameter of the connection."""
    assert fault_of(answered('22P02', 'invalid input value for enum mood: "glad"')) is Fault.DATA


@pytest.mark.parametrize('name', ['pgcode', 'sqlstate'])
def test_each_driver_has_its_own_name_for_a_state(name: str) -> None:
    assert sqlstate(type('Answer', (Exception,), {name: '40001'})()) == '40001'
    assert sqlstate(Exception()) == ''


@pytest.mark.parametrize(
    ('error', 'first', 'role'),
    [
        (answered('23505'), True, False),
        (OperationalError('', {}, Exception('UNIQUE constraint failed: celery_taskmeta.task_id')), True, False),
        (answered('23503'), False, False),
        (answered('42501'), False, True),
    ],
)
def test_somebody_was_first_or_the_role_may_not(error: DBAPIError, first: bool, role: bool) -> None:
    assert (was_first(error), blames_role(error.orig)) == (first, role)
