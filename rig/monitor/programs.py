"""Real `celery toolbox` processes for an app of the test's own."""

from __future__ import annotations

import sys
from pathlib import Path

from ..servers.broker import Broker
from ..servers.environment import clean_environment
from ..servers.process import Process, Processes

PROJECT = """
from celery import Celery
from cadasta.workertoolbox.conf import Config

app = Celery('project')
app.config_from_object(Config(QUEUES=['export', 'msg'], database_create_tables_at_setup=False))


@app.task(name='export.project')
def export(number): ...
"""
ENTRY_POINTS = '[celery.commands]\ntoolbox = cadasta.workertoolbox.commands:toolbox\n'


class Toolbox:
    """Starts `celery -A project toolbox ...`.

    :param directory: the directory for the project, and for the metadata by which Celery finds the command in a source
        tree
    """

    def __init__(self, directory: Path, processes: Processes, broker: Broker, database: str) -> None:
        self.processes = processes
        (directory / 'project.py').write_text(PROJECT)
        metadata = directory / 'toolbox_test-1.dist-info'
        metadata.mkdir()
        (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: toolbox-test\nVersion: 1\n')
        (metadata / 'entry_points.txt').write_text(ENTRY_POINTS)
        self.environment = clean_environment(directory, TOOLBOX_DATABASE=database, **broker.environment)

    def start(self, *arguments: str, **environment: str) -> Process:
        return self.processes.start(
            [sys.executable, '-m', 'celery', '-A', 'project', 'toolbox', *arguments],
            {**self.environment, **environment},
        )

    def monitor(self, *arguments: str) -> Process:
        """Starts a monitor and waits until it is at work."""
        process = self.start('monitor', *arguments)
        process.wait_for('Ready: ')
        return process
