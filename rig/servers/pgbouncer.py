"""A private PgBouncer before a private PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from .postgres import ADMIN, ADMIN_PASSWORD, Database
from .process import Process, accepts_connections, free_port, wait_until
from .programs import find_program

CONFIGURATION = """
[databases]
{name} = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 3
query_wait_timeout = 20
"""


class PgBouncer:
    """A `pgbouncer` that lends a client another session of a database for each transaction.

    PgBouncer refuses to run as root, so root runs it as `nobody`.
    """

    def __init__(self, database: Database) -> None:
        self.program = find_program('pgbouncer')
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix='pgbouncer-'))
        self.user = pwd.getpwnam('nobody') if os.geteuid() == 0 else None
        self.process: Process | None = None
        users = self.directory / 'userlist.txt'
        users.write_text(f'"{ADMIN}" "{ADMIN_PASSWORD}"\n"{database.role}" "{database.password}"\n')
        (self.directory / 'pgbouncer.ini').write_text(
            CONFIGURATION.format(name=database.name, server=database.server.port, port=self.port, users=users)
        )
        self.directory.chmod(0o755)

    def start(self) -> None:
        self.process = process = Process(
            [self.program, str(self.directory / 'pgbouncer.ini')],
            self.directory / 'log',
            {},
            self.directory,
            self.user,
        )
        wait_until(lambda: accepts_connections(self.port) or not process.is_running, 'PgBouncer to accept connections')
        assert process.is_running, process.log

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()
        shutil.rmtree(self.directory)
