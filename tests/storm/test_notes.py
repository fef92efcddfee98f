"""The processes of a storm note what was sent, and not what only was to be sent."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
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


OUTBOXES = """
import os

import sqlalchemy as sa
from celery import Celery
from notes import noted_outbox

from cadasta.workertoolbox import Config, upgrade_outbox

URL = 'sqlite:///' + os.environ['DATABASE']
app = Celery('noting')
app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
upgrade_outbox(URL)
engine = sa.create_engine(URL)
with engine.begin() as connection:
    connection.exec_driver_sql('CREATE TABLE committed (task_id text)')
with engine.connect() as connection:
    for name in ('rolled back', 'committed', 'killed'):
        transaction = connection.begin()
        with noted_outbox(app, connection):
            app.send_task('export.add', task_id=name)
        if name == 'killed':
            os._exit(0)
        transaction.commit() if name == 'committed' else transaction.rollback()
        app.send_task('export.add', task_id='beside ' + name)
"""


@pytest.mark.process
def test_an_outbox(processes: Processes, tmp_path: Path) -> None:
    """The database tells what was committed. What was sent beside the outbox belongs to no transaction."""
    notes, database = tmp_path / 'notes', tmp_path / 'shop.db'
    environment = clean_environment(PROJECTS, NOTES=str(notes), DATABASE=str(database))
    process = processes.start([sys.executable, '-c', OUTBOXES], environment)
    assert process.wait() == 0, process.log
    with closing(sqlite3.connect(database)) as connection:
        committed = {id_ for (id_,) in connection.execute('SELECT task_id FROM committed')}
    journal = Journal(read(notes), committed)
    assert {key.id for key in journal.sendings} == {'committed', 'beside committed', 'beside rolled back'}
    assert journal.not_committed == {'rolled back', 'killed'}
    assert (len(journal.transactions), len(journal.committed_transactions)) == (3, 1)


@pytest.mark.process
def test_a_batch(processes: Processes, tmp_path: Path) -> None:
    notes = tmp_path / 'notes'
    process = processes.start([sys.executable, '-c', BATCHES], clean_environment(PROJECTS, NOTES=str(notes)))
    assert process.wait() == 0, process.log
    journal = Journal(read(notes))
    assert {key.id for key in journal.attempts} == {'alone', 'sent', 'dropped', 'unsent', 'sent too', 'killed'}
    assert {key.id for key in journal.sendings} == {'alone', 'sent', 'dropped', 'sent too'}
    assert (len(journal.batches), len(journal.sent_batches)) == (4, 1)
