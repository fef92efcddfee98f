"""The processes of a storm note what was sent, and not what only was to be sent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment
from rig.servers.process import Processes
from rig.storm.journal import Journal, read
from rig.storm.platform import PROJECTS

BATCHES = """
import os

from celery import Celery
from kombu.exceptions import OperationalError
from notes import noted_batch

from cadasta.workertoolbox import Config, NotAllSent

app = Celery('noting')
app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
app.send_task('export.add', task_id='alone')
with noted_batch(app):
    app.send_task('export.add', task_id='sent')
for error in (ValueError(), NotAllSent('gone', ['unsent'])):
    try:
        with noted_batch(app):
            app.send_task('export.add', task_id='dropped')
            app.send_task('export.add', task_id='unsent')
            if isinstance(error, ValueError):
                raise error
            app.send_task('export.add', task_id='sent too')
            raise error
    except (ValueError, NotAllSent):
        pass
with noted_batch(app):
    app.send_task('export.add', task_id='killed')
    os._exit(0)
"""


@pytest.mark.process
def test_a_batch(processes: Processes, tmp_path: Path) -> None:
    notes = tmp_path / 'notes'
    process = processes.start([sys.executable, '-c', BATCHES], clean_environment(PROJECTS, NOTES=str(notes)))
    assert process.wait() == 0, process.log
    journal = Journal(read(notes))
    assert {key.id for key in journal.attempts} == {'alone', 'sent', 'dropped', 'unsent', 'sent too', 'killed'}
    assert {key.id for key in journal.sendings} == {'alone', 'sent', 'dropped', 'sent too'}
    assert (len(journal.batches), len(journal.sent_batches)) == (4, 1)
