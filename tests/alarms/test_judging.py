"""Each thing that is wrong is found, by rows as monitors and workers write them and by what a broker says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cadasta.workertoolbox.alarms import judging
from cadasta.workertoolbox.alarms.judging import Limits, judge
from cadasta.workertoolbox.alarms.queues import MOST, Queues, look
from cadasta.workertoolbox.alarms.verdict import State, Verdict
from cadasta.workertoolbox.check.platform_queue import Depth
from cadasta.workertoolbox.database.tables import monitors, rejected, task, workers
from cadasta.workertoolbox.mending.held import DeadLetters
from cadasta.workertoolbox.tracked.readings import Readings
from rig.monitor.databases import TaskDatabase
from rig.servers.filesystem import FilesystemBroker
from rig.servers.process import wait_until

from ..commands.ended import app_of
from ..tracked.rows import store

LIMITS = Limits(60, 600)
# The test takes time itself.
_SECONDS = re.compile(r'(?<= min) \d+ s')


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, 'PAUSES', (0, 0))


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


class Platform:
    """A database, and a broker that says what a test wants it to say."""

    def __init__(self, tasks: TaskDatabase) -> None:
        self.tasks = tasks
        self.platform: Depth | None = Depth(0)
        self.work = {'export': Depth(0)}
        self.dead_letters: tuple[DeadLetters, ...] = ()

    def monitor(self, lag: float, ended: float | None = None) -> None:
        times = {'first_seen': ago(9999), 'last_seen': ago(lag), 'caught_up': ago(lag)}
        ended_at = None if ended is None else ago(ended)
        row = {'boot': str(lag), 'host': 'here', 'pid': 1, 'version': '1', 'ended': ended_at, **times}
        self.tasks.execute(monitors.insert().values(row))

    def worker(self, name: str, seen: float, boot: str = '', **values: Any) -> None:
        row: dict[str, Any] = dict.fromkeys(workers.columns.keys(), 0)
        row |= {
            'boot': boot or name,
            'name': name,
            'host': 'here',
            'pool': 'solo',
            'queues': ['export'],
            'versions': {},
        }
        row |= {'first_seen': ago(9999), 'last_seen': ago(seen), 'ended': None}
        self.tasks.execute(workers.insert().values({**row, **values}))

    def task(self, task_id: str, seen: float, **values: Any) -> None:
        row = {'task_id': task_id, 'name': 'export.project', 'routing_key': 'export', 'retries': 0, 'options': {}}
        times = {'first_seen': ago(seen), 'last_seen': ago(seen)}
        self.tasks.execute(task.insert().values({**row, **times, **values}))

    def judge(self, look: Callable[[Iterable[str]], Queues] | None = None) -> Verdict:
        def says(reported: Iterable[str]) -> Queues:
            return Queues(self.platform, self.work, self.dead_letters)

        with Readings(self.tasks.url) as readings:
            return judge(readings, look or says, LIMITS)

    def texts(self) -> list[str]:
        verdict = self.judge()
        return [f'{problem.state.name} {_SECONDS.sub("", problem.text)}' for problem in verdict.problems]


@pytest.fixture
def platform(tasks: TaskDatabase) -> Platform:
    """A platform that is well."""
    made = Platform(tasks)
    made.monitor(lag=3)
    made.worker('celery@a', seen=20)
    made.task('1', seen=5)
    return made


def test_a_platform_that_is_well(platform: Platform) -> None:
    verdict = platform.judge()
    assert (verdict.state, verdict.problems) == (State.OK, ())
    summary, _, numbers = verdict.line.partition(' | ')
    assert summary.startswith('OK: lag ')
    assert summary.endswith(' s, 1 worker, nothing lost, rejected or silent; export 0 (1 consumer)')
    assert re.sub(r'=\d+s;', '=3s;', numbers) == (
        "'lag'=3s;60;600 'platform queue'=0 'queue export'=0 'consumers export'=1 'workers'=1 'silent'=0 'lost'=0 "
        "'rejected'=0"
    )


@pytest.mark.parametrize(
    ('seconds', 'state'),
    [(59.9, State.OK), (60, State.WARNING), (599.9, State.WARNING), (600, State.CRITICAL)],
)
def test_from_when_on_something_is_late(seconds: float, state: State) -> None:
    assert LIMITS.state(seconds) is state


@pytest.mark.parametrize(('lag', 'state'), [(5, None), (61, 'WARNING'), (700, 'CRITICAL')])
def test_a_monitor_that_is_stopped(platform: Platform, lag: float, state: str | None) -> None:
    platform.tasks.execute(monitors.update().values(caught_up=ago(lag)))
    (found,) = platform.texts() or [None]
    assert (found and found.startswith(f'{state} no monitor has read the platform queue to its end for ')) == (
        None if state is None else True
    )
    assert 'ended' not in (found or '')


def test_a_monitor_that_has_ended_is_said_to_have(platform: Platform) -> None:
    platform.tasks.execute(monitors.update().values(caught_up=ago(700), ended=ago(690)))
    assert platform.texts() == [
        'CRITICAL no monitor has read the platform queue to its end for 11 min: every monitor has ended'
    ]


def test_no_monitor_at_all(platform: Platform) -> None:
    platform.tasks.execute(monitors.delete())
    assert platform.texts() == ['UNKNOWN no monitor of this version has ever read the platform queue to its end']
    assert 'lag' not in platform.judge().numbers
    platform.platform = Depth(2)
    (text,) = platform.texts()
    assert text.startswith('CRITICAL 2 messages in the platform queue, and no monitor of this version has ever read ')
    # Nobody knows whether anything waits.
    platform.platform = None
    assert [text.partition(' ')[0] for text in platform.texts()] == ['UNKNOWN', 'UNKNOWN']


@pytest.mark.parametrize('depth', [Depth(478), Depth(0, received=400, delayed=78)])
def test_messages_wait_and_the_newest_task_is_old(platform: Platform, depth: Depth) -> None:
    """The monitor is at work, but not at this queue."""
    platform.platform = depth
    assert platform.texts() == []
    platform.tasks.execute(task.update().values(first_seen=ago(700), last_seen=ago(700)))
    # The reports of workers come by the same queue.
    assert platform.texts() == []
    platform.tasks.execute(workers.update().values(last_seen=ago(700), ended=ago(700)))
    assert platform.texts() == ['CRITICAL 478 messages in the platform queue, and nothing was stored for 11 min']
    platform.tasks.execute(task.delete())
    platform.tasks.execute(workers.delete())
    assert platform.texts() == ['CRITICAL 478 messages in the platform queue, and nothing was ever stored']


def test_a_message_that_has_just_come_is_no_alarm(platform: Platform) -> None:
    platform.tasks.execute(task.update().values(first_seen=ago(700), last_seen=ago(700)))
    platform.tasks.execute(workers.delete())
    depths = iter([1, 2, 0])
    assert platform.judge(lambda _: Queues(Depth(next(depths)), {})).problems == ()


@pytest.mark.parametrize(('depths', 'pauses'), [([0], []), ([1, 0], [1.5]), ([1, 1, 1], [1.5, 2.5])])
def test_it_pauses_between_its_looks_and_looks_no_longer_than_it_must(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, depths: list[int], pauses: list[float]
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(judging, 'PAUSES', (1.5, 2.5))
    monkeypatch.setattr(judging.time, 'sleep', paused.append)
    left = iter(depths)
    platform.judge(lambda _: Queues(Depth(0), {'export': Depth(next(left), consumers=0)}))
    assert (paused, list(left)) == (pauses, [])


def test_nobody_consumes_a_queue(platform: Platform) -> None:
    platform.work = {'export': Depth(5, consumers=0), 'msg': Depth(5)}
    assert platform.texts() == [
        'CRITICAL 5 messages waiting in export, and nobody consumes it',
        'CRITICAL 5 messages waiting in msg, and no worker says that it consumes it',
    ]
    platform.task('msg', 700, routing_key='msg')
    # A worker without reports runs its tasks.
    store(platform.tasks, 'msg', 'SUCCESS', started=ago(7))
    platform.tasks.execute('UPDATE celery_taskmeta SET date_done = NULL')
    assert platform.texts() == ['CRITICAL 5 messages waiting in export, and nobody consumes it']


def test_a_queue_that_does_not_move(platform: Platform) -> None:
    platform.work = {'export.fifo': Depth(5, consumers=1)}
    assert platform.texts() == []
    platform.task('old', seen=100)
    platform.tasks.execute(task.update().values(first_seen=ago(100)))
    platform.task('before', seen=800)
    store(platform.tasks, 'before', 'STARTED', started=ago(750), lease=ago(-60))
    platform.tasks.execute('UPDATE celery_taskmeta SET date_done = NULL')
    assert platform.texts() == ['WARNING 5 messages waiting in export.fifo, and no task of it has started for 1 min']
    platform.tasks.execute(task.update().values(first_seen=ago(790)))
    assert platform.texts() == ['CRITICAL 5 messages waiting in export.fifo, and no task of it has started for 12 min']


def test_lost_rejected_silent_and_dead(platform: Platform) -> None:
    store(platform.tasks, '1', 'STARTED', started=ago(800), lease=ago(700))
    row = {'digest': '1', 'reason': '', 'message': b'', 'first_seen': ago(5), 'last_seen': ago(5)}
    platform.tasks.execute(rejected.insert().values(row))
    platform.worker('celery@b', seen=200)
    # This one was started again, and that one has been missed for long.
    platform.worker('celery@a', seen=300, boot='before')
    platform.worker('celery@c', seen=25 * 3600)
    platform.dead_letters = (DeadLetters('export', 'dead', 1),)
    verdict = platform.judge()
    assert verdict.state is State.WARNING
    assert [problem.text for problem in verdict.problems] == [
        '1 task lost while running (toolbox lost)',
        '1 message rejected (toolbox rejected)',
        '1 worker silent: celery@b',
        '1 dead letter of export in dead',
    ]


def test_a_broker_that_tells_nothing(platform: Platform) -> None:
    platform.platform = None
    platform.work = {}
    assert platform.texts() == ['UNKNOWN the broker does not tell what is in the platform queue']


@pytest.mark.parametrize(('more', 'end'), [(-1, 'celery@08'), (0, 'celery@09'), (1, 'celery@09, 1 more')])
def test_ten_names_at_most(platform: Platform, more: int, end: str) -> None:
    for number in range(10 + more):
        platform.worker(f'celery@{number:02}', seen=200)
    (text,) = platform.texts()
    assert text.endswith(end)


def test_the_worst_comes_first_and_no_name_breaks_the_line(platform: Platform) -> None:
    platform.platform = None
    platform.work = {"a|b='\n": Depth(1, consumers=0), **{f'q{number}': Depth(0) for number in range(12)}}
    verdict = platform.judge()
    assert verdict.state is State.CRITICAL
    assert verdict.line.startswith('CRITICAL: 1 message waiting in a/b-"\\n, and nobody consumes it; the broker does')
    assert "'queue a/b-\"\\n'=1 " in verdict.line
    document = verdict.document
    assert [problem['state'] for problem in document['problems']] == ['CRITICAL', 'UNKNOWN']
    assert 3 <= document['numbers']['lag'] < 60
    assert document['summary'].endswith(', 3 more')


def test_the_queues_of_the_app_and_those_of_workers(tmp_path: Any) -> None:
    broker = FilesystemBroker(tmp_path)
    app = app_of(broker)
    app.send_task('export.project')
    wait_until(lambda: broker.count('export'), 'the message')
    found = look(app, ['other', *(f'q{number:03}' for number in range(MOST))])
    assert found.platform == Depth(1)
    assert found.work['export'] == Depth(1)
    assert found.work['other'] == Depth(0)
    assert len(found.work) == len(app.amqp.queues) - 1 + MOST
    assert 'platform.fifo' not in found.work
    broker.close()
