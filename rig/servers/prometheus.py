"""Debian's Prometheus: its server, and the tool that judges metrics and rules."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from .environment import clean_environment
from .process import PATIENCE, Process, free_port
from .programs import find_program


def judge(*arguments: str | Path, text: bytes | None = None) -> str:
    """Ask promtool.

    :param arguments: what to judge
    :param text: its input
    :returns: what it complains about; nothing where it does not
    """
    judged = subprocess.run([find_program('promtool'), *arguments], input=text, capture_output=True)
    return '' if judged.returncode == 0 else (judged.stdout + judged.stderr).decode()


class Prometheus:
    """A server on a free port of 127.0.0.1.

    :param directory: has `prometheus.yml`, and gets the samples
    """

    def __init__(self, directory: Path) -> None:
        self.program = find_program('prometheus')
        self.port = free_port()
        self.directory = directory
        self.process: Process | None = None

    def start(self) -> None:
        self.process = Process(
            [
                self.program,
                f'--config.file={self.directory}/prometheus.yml',
                f'--storage.tsdb.path={self.directory}/samples',
                f'--web.listen-address=127.0.0.1:{self.port}',
            ],
            self.directory / 'prometheus.log',
            clean_environment(),
            self.directory,
        )
        self.process.wait_for('Server is ready to receive web requests')

    def get(self, path: str, **parameters: str) -> Any:
        """Ask the server."""
        url = f'http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}'
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return json.load(response)['data']

    def query(self, expression: str) -> list[Any]:
        """Evaluate an expression; returns its samples."""
        found: list[Any] = self.get('query', query=expression)['result']
        return found

    def close(self) -> None:
        if self.process:
            self.process.stop()
