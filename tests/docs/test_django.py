"""A Django project, set up as the how-to shows, sends after its commits and reads its tasks by models."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.servers.environment import clean_environment
from rig.servers.filesystem import FilesystemBroker
from rig.servers.postgres import Database
from rig.servers.process import Process, Processes, wait_until

from .manual import Manual
from .terminal import Terminal

pytestmark = pytest.mark.slow

(PAGE,) = PAGES = ['howto/django']

SETTINGS = """
SECRET_KEY = 'secret'
USE_TZ = True
INSTALLED_APPS = ['exports', 'outboxes', 'tracking']
DATABASES = {{
    'default': {{
        'ENGINE': 'django.db.backends.postgresql',
        'HOST': '127.0.0.1',
        'PORT': '{port}',
        'NAME': '{name}',
        'USER': 'postgres',
        'PASSWORD': 'admin',
    }}
}}
"""
EXPORT = """
from django.db import models

class Export(models.Model):
    project = models.TextField()
"""
TASKS = """
from celery import shared_task
from exports.models import Export

@shared_task(name='export.project')
def project(number):
    return Export.objects.get(pk=number).project
"""
#: One request is committed, and one is rolled back.
SEND = """
import django
django.setup()
from django.db import transaction
from django.test import RequestFactory
from exports.tasks import project
from exports.views import order

order(RequestFactory().get('/', {'project': 'harbour'}))
try:
    with transaction.atomic():
        order(RequestFactory().get('/', {'project': 'bridge'}))
        project.delay_on_commit(7)
        raise LookupError
except LookupError:
    pass
"""
READ = """
import django
django.setup()
from tracking.models import TrackedTask

(task,) = TrackedTask.objects.filter(name='export.project')
assert (task.standing, task.args, task.value) == ('succeeded', [1], 'harbour'), vars(task)
assert task.sent < task.started and task.ran > 0
"""
TWICE = """
import django
django.setup()
from exports.models import Export
from exports.tasks import project

number = Export.objects.create(project='harbour').pk
for _ in range(2):
    project.apply_async((number,), task_id='one')
"""
READ_PENDING = """
import django
django.setup()
from django_celery_results.models import TaskResult
from tracking.models import TrackedTask

assert TaskResult.objects.get(task_id='one').status == 'SUCCESS'
assert TrackedTask.objects.get(task_id='one').status == 'PENDING'
"""
#: One request is committed, and two are rolled back.
ORDER = """
import django
django.setup()
from django.db import transaction
from django.test import RequestFactory
from exports.orders import order

def request(project):
    return RequestFactory().get('/', {'project': project})

with transaction.atomic():
    try:
        with transaction.atomic():
            order(request('bridge'))
            raise LookupError
    except LookupError:
        pass
    print(order(request('lighthouse')).content.decode())
try:
    with transaction.atomic():
        order(request('canal'))
        raise LookupError
except LookupError:
    pass
"""
#: The test database has the tables, too.
TESTS = """
from cadasta.workertoolbox.tests import build_functional_tests
from django.db import connection
from django.test import RequestFactory, TestCase
from exports.orders import order
from mysite.celery import app
from tracking.models import TrackedTask

FunctionalTests = build_functional_tests(app)

class TrackingTests(TestCase):
    def test_tasks(self):
        self.assertEqual(TrackedTask.objects.count(), 0)

    def test_orders(self):
        sent = order(RequestFactory().get('/', {'project': 'pier'})).content.decode()
        with connection.cursor() as cursor:
            cursor.execute('SELECT task_id FROM celery_outbox')
            self.assertEqual(cursor.fetchall(), [(sent,)])
"""


@pytest.fixture
def environment(manual: Manual, database: Database, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of the project, whose results are in Django's database."""
    apps = ('exports', 'outboxes', 'tracking')
    for app in ('mysite', *apps, *(f'{app}/migrations' for app in apps)):
        (tmp_path / app).mkdir(exist_ok=True)
        (tmp_path / app / '__init__.py').touch()
    for block in manual.blocks(PAGE, 'python'):
        (tmp_path / block.caption).write_text(f'{block.text}\n')
    with (tmp_path / 'mysite' / 'settings.py').open('a') as settings:
        settings.write(SETTINGS.format(port=database.server.port, name=database.name))
    files = {'exports/models.py': EXPORT, 'exports/tasks.py': TASKS, 'tracking/tests.py': TESTS}
    for name, text in {**files, 'send.py': SEND, 'read.py': READ, 'order.py': ORDER}.items():
        (tmp_path / name).write_text(text)
    broker = FilesystemBroker(tmp_path)
    owner = f'postgresql://postgres:admin@127.0.0.1:{database.server.port}/{database.name}'
    yield clean_environment(
        tmp_path,
        **broker.environment,
        **database.environment,
        DJANGO_SETTINGS_MODULE='mysite.settings',
        TOOLBOX_DATABASE=owner,
    )
    broker.close()


@pytest.fixture
def terminal(manual: Manual, environment: dict[str, str], processes: Processes, tmp_path: Path) -> Terminal:
    """A terminal that has done what the page shows."""
    terminal = Terminal(processes, environment, tmp_path)
    for block in manual.blocks(PAGE, 'console'):
        terminal.follow(block)
    return terminal


def work(processes: Processes, environment: dict[str, str], directory: Path, runs: int) -> Process:
    """Let a worker succeed so many times, and the monitor store what was sent."""
    celery = [sys.executable, '-m', 'celery', '-A', 'mysite']
    worker = processes.start([*celery, 'worker', '-Q', 'export', '-P', 'solo', '-l', 'INFO'], environment, directory)
    wait_until(lambda: len(re.findall(r'Task export\.project\[.+ succeeded', worker.log)) == runs, 'all runs', 120)
    assert worker.stop() == 0
    monitor = processes.start([*celery, 'toolbox', 'monitor', '--once'], environment, directory)
    assert monitor.wait() == 0, monitor.log
    return worker


def test_django(terminal: Terminal, environment: dict[str, str], processes: Processes, tmp_path: Path) -> None:
    terminal.run('python send.py')
    worker = work(processes, environment, tmp_path, 1)
    # The task of the transaction that was rolled back was not sent.
    assert worker.log.count(' received\n') == 1
    terminal.run('python read.py')
    terminal.run('django-admin test')


def test_an_outbox(
    terminal: Terminal, environment: dict[str, str], processes: Processes, tmp_path: Path, database: Database
) -> None:
    sent = terminal.run('python order.py').strip()
    assert database.execute('SELECT task_id FROM celery_outbox') == [(sent,)]
    terminal.run('celery -A mysite toolbox relay --once')
    worker = work(processes, environment, tmp_path, 1)
    assert worker.log.count(' received\n') == 1
    assert database.execute('SELECT task_id, standing FROM celery_task_status') == [(sent, 'succeeded')]


def test_results_that_django_stores(
    terminal: Terminal, environment: dict[str, str], processes: Processes, tmp_path: Path
) -> None:
    """The copies of a message run, and the views do not know the result."""
    with (tmp_path / 'mysite' / 'settings.py').open('a') as settings:
        settings.write("\nINSTALLED_APPS += ['django_celery_results']\nCELERY['result_backend'] = 'django-db'\n")
    (tmp_path / 'twice.py').write_text(TWICE)
    terminal.run('django-admin migrate')
    terminal.run('python twice.py')
    work(processes, environment, tmp_path, 2)
    (tmp_path / 'read.py').write_text(READ_PENDING)
    terminal.run('python read.py')
