"""Several calls of Amazon SQS at once: they lose nothing, keep the order of each group, and need little memory."""

from __future__ import annotations

import json
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cadasta.workertoolbox import batch
from cadasta.workertoolbox.monitor import Monitor
from cadasta.workertoolbox.monitor.message import Message
from cadasta.workertoolbox.monitor.sources import Limits, open_source
from cadasta.workertoolbox.monitor.sources.fetch import Answer, Fetch
from cadasta.workertoolbox.monitor.sources.sqs import CHANGING, MAX_CALL, RECEIVING, _Turn
from rig.monitor.databases import TaskDatabase
from rig.monitor.programs import Toolbox
from rig.servers.broker import PLATFORM_QUEUE, Broker
from rig.servers.process import PATIENCE, Processes, wait_until
from rig.servers.sqs import QuickSQS
from rig.servers.started import started

from .test_bounds import LIMIT, peak
from .test_streams import make_app

#: Seconds that each call takes.
DELAY = 0.01


@pytest.fixture(scope='module')
def quick() -> Iterator[QuickSQS]:
    with started(QuickSQS()) as server:
        yield server


@pytest.fixture
def broker(quick: QuickSQS) -> Broker:
    quick.delay(0)
    return quick.broker()


@pytest.fixture
def tasks(tmp_path: Path) -> TaskDatabase:
    return TaskDatabase(f'sqlite:///{tmp_path}/tasks.db')


pytestmark = pytest.mark.process


def send(app: Any, amount: int, **options: Any) -> None:
    with batch(app):
        for number in range(amount):
            app.send_task('export.project', (number,), **options)


@contextmanager
def source_of(app: Any, broker: Broker, size: int, linger: float = 0.2) -> Iterator[Any]:
    with broker.connect() as connection:
        yield open_source(connection, app.amqp.queues[PLATFORM_QUEUE], Limits(size, linger, lambda: False))


def test_calls_at_once(quick: QuickSQS, broker: Broker, tasks: TaskDatabase) -> None:
    app = make_app(broker)
    send(app, 1000)
    quick.delay(DELAY)
    Monitor(app, tasks.url, once=True).run()
    assert tasks.count() == 1000
    most = quick.most_at_once()
    assert 1 < most['ReceiveMessage'] <= RECEIVING
    assert 1 < most['DeleteMessageBatch'] <= CHANGING


def test_an_idle_queue_is_asked_as_rarely_as_by_one_call(quick: QuickSQS, broker: Broker, tasks: TaskDatabase) -> None:
    app = make_app(broker)
    with source_of(app, broker, 500) as source:
        for _ in range(3):
            send(app, 1)
            before = quick.calls()['ReceiveMessage']
            messages = source.receive()
            source.fetch_ahead(lambda: False)
            source.acknowledge(messages)
            assert quick.calls()['ReceiveMessage'] == before + 2


def test_the_order_of_each_group(quick: QuickSQS, broker: Broker, tasks: TaskDatabase) -> None:
    """The last of equal messages is stored, so each tree shows whether its messages came in their order."""
    app = make_app(broker)
    trees = [f'tree-{number}' for number in range(8)]
    with batch(app):
        for number in range(45):
            for tree in trees:
                app.send_task('export.project', (number,), task_id=tree, root_id=tree)
    quick.delay(DELAY)
    # It ends when nothing is left, although most calls find nothing: the messages of a tree come ten at a time.
    Monitor(app, tasks.url, batch=30, once=True).run()
    assert {name: row['args'] for name, row in tasks.tasks().items()} == {tree: [44] for tree in trees}
    assert broker.count(PLATFORM_QUEUE) == 0


class Late:
    """Makes each call as late as it may be made: when somebody waits for it."""

    def submit(self, call: Callable[..., Any], **options: Any) -> Any:
        return SimpleNamespace(result=partial(call, **options))


def test_what_a_batch_kept_back_is_backlog(broker: Broker) -> None:
    """The rest of a tree, while younger messages of others were received ahead."""
    app = make_app(broker)
    send(app, 20, root_id='tree')
    with source_of(app, broker, 10) as source:
        source._changing = Late()
        source._marked = 1000 * time.time()
        time.sleep(0.01)
        send(app, 70)
        are_of_the_tree: list[bool] = []
        while True:
            messages = source.receive()
            source.fetch_ahead(lambda: False)
            source.acknowledge(messages)
            are_of_the_tree.append({message.headers['root_id'] for message in messages} == {'tree'})
            if not source.has_backlog():
                break
        assert are_of_the_tree == [True, False, False, True, False, False, False]
        # All that was received ahead is older than the next mark.
        source.mark()
        assert source.receive()
        assert source.has_backlog()


def test_a_batch_is_deleted_before_the_monitor_waits_for_messages(broker: Broker) -> None:
    app = make_app(broker)
    send(app, 20, root_id='tree')
    with source_of(app, broker, 500) as source:
        source._changing = Late()
        for _ in range(2):
            messages = source.receive()
            source.acknowledge(messages)
            assert len(messages) == 10


def test_an_end_gives_back_what_was_received_ahead(quick: QuickSQS, broker: Broker, tasks: TaskDatabase) -> None:
    app = make_app(broker)
    send(app, 1500)
    quick.delay(DELAY)
    monitor = Monitor(app, tasks.url, batch=100)
    thread = threading.Thread(target=monitor.run)
    thread.start()
    wait_until(lambda: tasks.count() >= 300, 'the monitor to store')
    monitor.stop()
    thread.join()
    assert tasks.count() < 1500
    with source_of(app, broker, 10) as source:
        # It counts nothing that is in flight.
        assert source.waiting() == 1500 - tasks.count()


def test_what_was_received_ahead_stays_hidden(broker: Broker) -> None:
    broker.options['visibility_timeout'] = 1
    app = make_app(broker)
    send(app, 30)
    with source_of(app, broker, 10) as source, source_of(app, broker, 10) as other:
        messages = source.receive()
        source.fetch_ahead(lambda: False)
        source.hold(messages, 1.5)
        assert source.waiting() == 10
        assert len(other.receive()) == 10
        source.release(messages)
        assert source.waiting() == 20


def test_what_came_first_is_not_shown_again_before_it_is_stored(quick: QuickSQS, broker: Broker) -> None:
    broker.options['visibility_timeout'] = 1
    app = make_app(broker)
    send(app, 300)
    quick.delay(0.1)
    with source_of(app, broker, 10_000, linger=60) as source:
        began = time.monotonic()
        assert source.receive()
        assert time.monotonic() - began < 0.9


@pytest.mark.parametrize(('code', 'status'), [('RequestThrottled', 400), ('ServiceUnavailable', 503), ('Denied', 403)])
def test_one_of_the_calls_fails(broker: Broker, code: str, status: int) -> None:
    """What the others have received is stored first: Amazon hides it for a while. Then the monitor connects again."""
    app = make_app(broker)
    send(app, 100)
    error = ClientError({'Error': {'Code': code}, 'ResponseMetadata': {'HTTPStatusCode': status}}, 'ReceiveMessage')
    with source_of(app, broker, 50) as source:
        receive, calls = source._client.receive_message, count()

        def fail_once(**options: Any) -> Any:
            if next(calls) == 2:
                raise error
            return receive(**options)

        source._client.receive_message = fail_once
        messages = source.receive()
        assert len(messages) == 20
        source.fetch_ahead(lambda: False)
        source.acknowledge(messages)
        assert source.waiting() == 80
        with pytest.raises(source.errors, match=code):
            source.receive()
    with source_of(app, broker, 50) as source:
        source._width = 4
        receive, calls = source._client.receive_message, count(-2)
        source._client.receive_message = fail_once
        first = source.receive()
        source._client.receive_message = receive
        source.acknowledge(first)
        with pytest.raises(source.errors, match=code):
            source.receive()
        # All that calls have received beside the one that failed is stored.
        assert source.waiting() == 80 - len(first)


def test_a_call_ahead_fails(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(broker)
    send(app, 40)
    with source_of(app, broker, 10) as source:
        first = source.receive()
        receive, calls = source._client.receive_message, count()

        def fail_second(**options: Any) -> Any:
            if next(calls) == 1:
                raise OSError('gone')
            return receive(**options)

        source._client.receive_message = fail_second
        source._limits = source._limits._replace(batch=20)
        source._ahead = source._new_fetch()
        source.fetch_ahead(lambda: False)
        source.acknowledge(first)
        second = source.receive()
        assert len(second) == 10
        source.acknowledge(second)
        with pytest.raises(OSError, match='gone'):
            source.receive()


def test_one_answer_is_read_at_a_time(quick: QuickSQS, broker: Broker) -> None:
    """Those that came at the same time wait. An answer of ten large messages needs a lot of memory while it is read."""
    app = make_app(broker)
    send(app, 40)
    meeting = threading.Barrier(2)
    met: list[bool] = []

    def meet(**kwargs: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)
            met.append(True)

    quick.delay(0.1)
    with source_of(app, broker, 40) as source:
        source._width = 4
        source._client.meta.events.register('before-parse.sqs.ReceiveMessage', meet)
        source.fetch_ahead(lambda: False)
        assert len(source.receive()) == 40
        assert met == []


def test_a_call_that_botocore_repeats() -> None:
    """It waits after an error, while others read their answers. An answer that it does not believe keeps the turn."""
    lock = threading.Lock()
    turn = _Turn(lock)
    turn.begin({'status_code': 503})
    assert not lock.locked()
    turn.begin({'status_code': 200})
    turn.begin({'status_code': 200})
    assert lock.locked()
    turn.end()
    assert not lock.locked()


def wide(number: int) -> str:
    """An envelope of nearly a MiB. Python needs four bytes for each character of a text that has such a symbol."""
    return json.dumps(
        {
            'body': b64encode(b'[[], {}, {}]').decode(),
            'content-type': 'application/json',
            'headers': {'task': 'export.project', 'id': str(number), 'x': '😀' + 1_030_000 * 'x'},
            'properties': {'body_encoding': 'base64'},
        },
        ensure_ascii=False,
    )


@pytest.mark.skipif(sys.platform != 'linux', reason='asks Linux how much memory a process has had')
def test_large_messages_after_small_ones(
    quick: QuickSQS, broker: Broker, postgresql: TaskDatabase, tmp_path: Path, processes: Processes
) -> None:
    """The answers of all calls in flight hold messages of nearly a MiB, the largest that Amazon takes."""
    send(make_app(broker), 300)
    amount = MAX_CALL * (RECEIVING + 1)
    broker.put(PLATFORM_QUEUE, [wide(number) for number in range(amount)])
    # The calls end at the same time.
    quick.delay(0.1)
    process = Toolbox(tmp_path, processes, broker, postgresql.url).start('monitor')
    wait_until(lambda: postgresql.count() == 300 + amount, 'all to be stored', 2 * PATIENCE)
    found = peak(process)
    print(f'{found} MiB')
    assert found < LIMIT


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def answering(amounts: list[int], memory: int = 0) -> Callable[[int], Answer]:
    def call(amount: int) -> Answer:
        amounts.append(amount)
        return Answer([Message(number, b'', memory=memory) for number in range(amount)], False)

    return call


@pytest.mark.parametrize('width', [1, 4])
def test_a_batch_is_no_larger_than_it_may_be(pool: Executor, width: int) -> None:
    amounts: list[int] = []
    fetch = Fetch(answering(amounts), 10, 37, 100)
    fetch.go_on(pool, width, lambda: False)
    assert (len(fetch.messages), amounts, fetch.is_dry) == (37, [10, 10, 10, 7], False)


def test_calls_under_way_need_as_much_memory_as_the_heaviest(pool: Executor) -> None:
    amounts: list[int] = []
    # Ten messages need half of the memory.
    fetch = Fetch(answering(amounts, memory=5), 10, 1000, 100)
    fetch.add(Answer([Message(0, b'', memory=50)], False))
    fetch.go_on(pool, 8, lambda: False)
    assert amounts == [10]
    assert fetch.memory == 100


def test_enough(pool: Executor) -> None:
    amounts: list[int] = []
    Fetch(answering(amounts), 10, 100, 100).go_on(pool, 4, lambda: len(amounts) >= 1)
    assert amounts == [10]
