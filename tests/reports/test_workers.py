"""Real workers on each broker, with each kind of pool: from their first report to their end."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import celery
import pytest

from cadasta.workertoolbox import __version__
from cadasta.workertoolbox.reports.sender import Sender
from rig.servers.broker import PLATFORM_QUEUE
from rig.servers.process import wait_until

from .platform import Platform
from .reports import report

POOLS = [('filesystem', 'solo', 1), ('redis', 'prefork', 2), ('amqp', 'threads', 2), ('sqs', 'gevent', 2)]


@pytest.mark.parametrize(('broker', 'pool', 'concurrency'), POOLS, indirect=['broker'])
def test_from_the_start_to_the_end(platform: Platform, pool: str, concurrency: int, tmp_path: Path) -> None:
    with platform.monitor():
        process = platform.worker('-P', pool, '-c', str(concurrency))
        worker = platform.wait_for(w1='alive')['w1@here']
        assert (worker.host, worker.pid) == (socket.gethostname(), process.popen.pid)
        assert worker.queues == ['celery', 'reporting']
        assert (worker.pool, worker.concurrency, worker.active, worker.held, worker.done) == (
            pool,
            concurrency,
            0,
            0,
            0,
        )
        assert worker.versions['toolbox'] == __version__
        assert worker.versions['celery'] == celery.__version__

        # A task runs, and blocks the main loop of the solo pool.
        gate = tmp_path / 'gate'
        platform.app.send_task('reporting.wait', (str(gate),))
        wait_until(lambda: platform.workers()['w1@here'].active == 1, 'the worker to be busy', interval=0.1)
        assert platform.workers()['w1@here'].held == 1
        gate.touch()
        wait_until(lambda: platform.workers()['w1@here'].done == 1, 'the worker to be done', interval=0.1)

        # The platform is well.
        checked = platform.command('check', '--platform')
        assert (checked.exit_code, checked.stdout[:8]) == (0, 'OK: lag '), checked.stdout
        assert ', 1 worker, nothing lost, rejected or silent; ' in checked.stdout
        assert 'reporting 0 (1 consumer) | ' in checked.stdout

        # Another one reported once, and never again.
        Sender(platform.app).send(report(name='dead@here'))
        platform.wait_for(w1='alive', dead='alive')
        platform.later()
        platform.wait_for(w1='alive', dead='silent')

        assert process.stop() == 0, process.log
        ended = platform.wait_for(w1='ended', dead='silent')['w1@here']
        assert (ended.boot, ended.done, ended.active) == (worker.boot, 1, 0)
        assert [platform.broker.count(queue) for queue in ('reporting', 'celery', PLATFORM_QUEUE)] == [0, 0, 0]
        assert platform.database.rejected() == []
        assert [task['name'] for task in platform.database.tasks().values()] == ['reporting.wait']

        # Nobody is left who would run these.
        for _ in range(5):
            platform.app.send_task('reporting.wait', ('',))
        wait_until(lambda: platform.database.count() == 6, 'the tasks to be stored', interval=0.1)
        platform.much_later('celery_task', 'celery_taskmeta')
        checked = platform.command('check', '--platform')
        assert checked.exit_code == 2, checked.stdout
        assert checked.stdout.startswith('CRITICAL: 5 messages waiting in reporting, and no'), checked.stdout
        assert 'consumes it; 1 worker silent: dead@here | ' in checked.stdout
    # The monitor has ended.
    platform.much_later('celery_monitor')
    text = platform.command('check', '--platform').stdout
    assert text.startswith('CRITICAL: no monitor has read the platform queue to its end for 10 min'), text
    assert ': every monitor has ended; 5 messages waiting in reporting' in text
    assert 'report to the platform' not in process.log


@pytest.mark.parametrize('broker', ['redis'], indirect=True)
def test_a_killed_worker_is_silent_as_soon_as_a_monitor_has_read_on(platform: Platform) -> None:
    with platform.monitor():
        platform.worker('-P', 'solo').kill()
        platform.wait_for(w1='alive')
    # No monitor reads, whatever the clocks say.
    platform.database.execute("UPDATE celery_monitor SET caught_up = caught_up - interval '10 minutes'")
    platform.later()
    platform.wait_for(w1='alive')
    with platform.monitor():
        platform.wait_for(w1='silent')
    result = platform.command('workers', '--json')
    (found,) = map(json.loads, result.stdout.splitlines())
    assert (found['name'], found['standing']) == ('w1@here', 'silent')
    fields = platform.command('workers').stdout.split('\t')
    assert (fields[0], fields[-1]) == ('silent', 'celery, reporting\n')
    assert platform.command('prune', '--older-than', '1m', '--yes').stdout.splitlines()[-1] == 'workers\t1'
