"""A private PostgreSQL that follows another one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from .environment import clean_environment
from .postgres import ADMIN, ADMIN_PASSWORD, SETTINGS, Database, Postgres
from .process import Process, free_port


class Standby:
    """A hot standby: it gives what the primary has, and takes nothing until it is promoted.

    :param primary: the cluster that it follows.
    """

    def __init__(self, primary: Postgres) -> None:
        self.primary = primary
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix='standby-'))
        if primary.user:
            os.chown(self.directory, primary.user.pw_uid, primary.user.pw_gid)
        self.process: Process | None = None

    def start(self) -> None:
        data = self.directory / 'data'
        source = f'host=127.0.0.1 port={self.primary.port} user={ADMIN} password={ADMIN_PASSWORD}'
        subprocess.run(
            [
                self.primary.programs / 'pg_basebackup',
                f'--pgdata={data}',
                f'--dbname={source}',
                '--no-sync',
                '--checkpoint=fast',
                '--write-recovery-conf',
            ],
            check=True,
            cwd=self.directory,
            env=clean_environment(),
            **self.primary.as_user(),
        )
        settings = [argument for setting in SETTINGS for argument in ('-c', setting)]
        self.process = Process(
            [str(self.primary.programs / 'postgres'), '-D', str(data), '-p', str(self.port), *settings],
            self.directory / 'log',
            clean_environment(),
            self.directory,
            self.primary.user,
        )
        self.process.wait_for('ready to accept read-only connections')

    def url_of(self, database: Database) -> str:
        """The URL of a database, as the standby has it, with the role of a worker."""
        return f'postgresql+psycopg2://{database.role}:{database.password}@127.0.0.1:{self.port}/{database.name}'

    def promote(self) -> None:
        """Makes it a primary of its own."""
        connection = psycopg2.connect(
            host='127.0.0.1', port=self.port, dbname=ADMIN, user=ADMIN, password=ADMIN_PASSWORD
        )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute('SELECT pg_promote()')
        connection.close()

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()
        shutil.rmtree(self.directory)
