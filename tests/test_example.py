"""The example services: what a worker of theirs publishes, and what they have of each other's code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.servers.environment import clean_environment

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[1] / 'examples'
SERVICES = ('export_worker', 'msg_worker')

# Runs a task as a worker does, without a worker, and shows the queues afterwards.
RUN = """
import json
from celery.app.trace import build_tracer
from export_worker.celery import app
from export_worker.tasks import {task} as task

send, alarm = app.signature('msg.send', ['ada@example.org']), app.signature('msg.alarm')
request = {{
    'id': 'id-of-the-task', 'callbacks': [send], 'errbacks': [alarm], 'delivery_info': {{}},
}}
build_tracer(task.name, task, app=app)('id-of-the-task', ['kibera'], {{}}, request)

found = {{}}
with app.connection_for_read() as connection:
    for name in app.amqp.queues:
        queue = app.amqp.queues[name](connection.default_channel)
        while message := queue.get(no_ack=True):
            args, kwargs, embed = message.payload
            found.setdefault(name, []).append([message.headers['task'], args, embed])
print(json.dumps(found))
"""


def python(directory: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        env=clean_environment(
            EXAMPLES, CELERY_BROKER_URL='memory://', CELERY_RESULT_BACKEND=f'db+sqlite:///{directory}/results'
        ),
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def run(directory: Path, task: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(python(directory, '-W', 'ignore', '-c', RUN.format(task=task)))
    return found


def test_services_have_none_of_each_others_code(tmp_path: Path) -> None:
    names = {
        service: set(
            json.loads(
                python(
                    tmp_path,
                    '-W',
                    'ignore',
                    '-c',
                    (
                        f'import json; from {service}.celery import app; app.loader.import_default_modules();'
                        'print(json.dumps([name for name in app.tasks if not name.startswith("celery.")]))'
                    ),
                )
            )
        )
        for service in SERVICES
    }

    assert {name.partition('.')[0] for name in names['export_worker']} == {'export'}
    assert {name.partition('.')[0] for name in names['msg_worker']} == {'msg'}


def test_errback_in_another_codebase_is_sent_on_as_a_task_with_the_id_of_the_failed_one(tmp_path: Path) -> None:
    found = run(tmp_path, 'boundary')

    assert [(name, args) for name, args, _ in found['msg']] == [('msg.alarm', ['id-of-the-task'])]
    assert found.keys() == {'msg', 'platform.fifo'}
    assert found['platform.fifo'] == found['msg']


def test_followups_go_with_the_last_step_and_are_not_called_before_it(tmp_path: Path) -> None:
    found = run(tmp_path, 'everything')

    assert found.keys() == {'export', 'platform.fifo'}
    assert sorted(name for name, *_ in found['export']) == ['celery.chord_unlock', 'export.map', 'export.map']
    [unlock_args] = [args for name, args, _ in found['export'] if name == 'celery.chord_unlock']
    body = unlock_args[1]
    assert body['task'] == 'export.archive'
    assert [link['task'] for link in body['options']['link']] == ['msg.send']
    assert [link['task'] for link in body['options']['link_error']] == ['msg.alarm']
