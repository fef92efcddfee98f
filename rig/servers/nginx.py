"""Debian's nginx, with a site of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .environment import clean_environment
from .process import Process, accepts_connections, wait_until
from .programs import find_program

CONFIGURATION = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {site}
}}
"""


class Nginx:
    """A server in the foreground, in one process that needs no root.

    :param directory: gets its files
    :param site: what is within `http`; it listens on `port`
    :param port: a free port
    """

    def __init__(self, directory: Path, site: str, port: int) -> None:
        self.file = directory / 'nginx.conf'
        self.command = [find_program('nginx'), '-e', 'stderr', '-p', str(directory), '-c', str(self.file)]
        self.port = port
        self.process: Process | None = None
        self.file.write_text(CONFIGURATION.format(directory=directory, site=site))

    def complaints(self) -> str:
        """What it says of its configuration; nothing where it takes it."""
        tested = subprocess.run([*self.command, '-q', '-t'], capture_output=True, text=True)
        return f'{tested.stdout}{tested.stderr}'

    def start(self) -> None:
        self.process = process = Process(self.command, self.file.with_suffix('.log'), clean_environment())
        wait_until(lambda: accepts_connections(self.port) or not process.is_running, 'nginx to accept connections')
        assert process.is_running, process.log

    def close(self) -> None:
        if self.process is not None:
            self.process.stop()
