"""The books of a storm show what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rig.servers.broker import Key
from rig.storm.books import Books, Tables, balance, without_end
from rig.storm.faults import LEASE
from rig.storm.journal import Journal

PRODUCER = 3
TASK = ('export.add', 'a', 0)
KEY = Key(*TASK)


def note(event: str, at: float, process: int = 1, **what: Any) -> dict[str, Any]:
    return {'event': event, 'at': at, 'process': process, **what}


def sent(at: float, key: tuple[str, str, int] = TASK, root: str = 'a') -> list[dict[str, Any]]:
    return [note('sending', at, PRODUCER, key=key, root=root), note('sent', at + 1, PRODUCER, key=key)]


def received(at: float, key: Sequence[Any] = TASK, process: int = 1) -> dict[str, Any]:
    return note('received', at, process, key=key)


def acknowledged(at: float, key: Sequence[Any] = TASK, process: int = 1) -> dict[str, Any]:
    return note('acknowledged', at, process, key=key)


def run(
    begin: float,
    stored: float | None = None,
    end: float | None = None,
    handed_on: float | None = None,
    key: Sequence[Any] = TASK,
    nesting: int = 0,
    number: int = 1,
    process: int = 1,
    state: str = 'SUCCESS',
) -> list[dict[str, Any]]:
    """A run in a child of the worker `process`, which is called ten times as much."""
    name = f'{begin} in {process}'
    begun = note('begun', begin, process, key=key, nesting=nesting, number=number, child=10 * process, run=name)
    events = {'handed_on': handed_on, 'stored': stored, 'ended': end}
    return [begun, *(note(event, at, process, run=name, state=state) for event, at in events.items() if at is not None)]


def whole(begin: float, **what: Any) -> list[dict[str, Any]]:
    """A run that succeeds after a second, from the delivery of its message to its acknowledgement."""
    message = {name: value for name, value in what.items() if name in ('key', 'process')}
    return [
        received(begin, **message),
        *run(begin, begin + 1, begin + 1.1, **what),
        acknowledged(begin + 1.2, **message),
    ]


PROMISE = note('promised', 2, PRODUCER, promises={'a': 'SUCCESS'})
ONCE = [*sent(0), PROMISE, *whole(10)]
ALL_WELL = Tables({'a': KEY}, 0, 0, {'a': 'SUCCESS'})


def books(*notes: dict[str, Any], tables: Tables = ALL_WELL, transport_loses: bool = False) -> Books:
    return balance(Journal(notes), tables, transport_loses)


def wrong(books: Books) -> set[str]:
    return {name for name, value in zip(books._fields[1:], books[1:], strict=True) if value}


def test_all_is_well() -> None:
    assert wrong(books(*ONCE)) == set()
    assert books(*ONCE).balance
    assert str(books(*ONCE)).endswith('The books balance.')


def test_what_toolbox_lost_must_name() -> None:
    """It names neither what has ended, nor what somebody has just heard of, nor what nobody tracks."""
    journal = Journal([*sent(0), *sent(20, ('export.add', 'b', 0), 'b'), *sent(0, ('export.add', 'c', 0), 'c')])
    tracked = {name: Key('export.add', name, 0) for name in 'ab'}
    assert without_end(journal, Tables(tracked, 0, 0, {'a': 'STARTED'}), before=10) == {'a'}
    assert without_end(journal, Tables(tracked, 0, 0, {'a': 'FAILURE'}), before=30) == {'b'}
    assert not books(*ONCE)._replace(not_named=['a']).balance
    assert not books(*ONCE)._replace(named_wrongly=['a']).balance


@pytest.mark.parametrize(
    ('tables', 'what'),
    [
        (Tables({}, 0, 0, {'a': 'SUCCESS'}), 'missing'),
        (Tables({'a': KEY, 'b': Key('export.add', 'b', 0)}, 0, 0, {'a': 'SUCCESS'}), 'strange'),
        (Tables({'a': KEY}, 1, 0, {'a': 'SUCCESS'}), 'rejected'),
        (Tables({'a': KEY}, 0, 1, {'a': 'SUCCESS'}), 'waiting'),
        (Tables({'a': KEY}, 0, 0, {}), 'unfinished'),
        (Tables({'a': KEY}, 0, 0, {'a': 'STARTED'}), 'unfinished'),
        (Tables({'a': KEY}, 0, 0, {'a': 'FAILURE'}), 'unfinished'),
    ],
)
def test_tables_that_are_wrong(tables: Tables, what: str) -> None:
    assert wrong(books(*ONCE, tables=tables)) == {what}
    assert not books(*ONCE, tables=tables).balance


def test_a_retry_that_was_not_tracked() -> None:
    retry = ('export.add', 'a', 1)
    notes = [
        *sent(12, retry),
        received(13, retry),
        acknowledged(14, retry),
    ]
    assert wrong(books(*ONCE, *notes)) == {'missing'}


def test_lost() -> None:
    assert wrong(books(*sent(0))) == {'lost'}
    assert wrong(books(*sent(0), received(10), *run(11), note('killed', 12, of=1))) == {'lost'}


def test_progress() -> None:
    """The watch over a chord makes none."""
    before, after = (books(*sent(0), *sent(0, ('celery.chord_unlock', 'b', number), 'body')) for number in (7, 8))
    assert before.progress == after.progress == (1, 0, 0)
    assert books(*ONCE).progress == (0, 0, 0)


def test_purged() -> None:
    """A task that has ended needs its message no more. Another one is lost, until it is sent again."""
    begun = [*sent(0), received(10), *run(11, 12), note('killed', 12, of=1), note('purged', 13, keys=[TASK])]
    assert wrong(books(*begun)) == set()
    assert wrong(books(*begun, note('chord', 2, PRODUCER, body='a'))) == set()
    assert books(*begun).counts['messages purged'] == 1
    assert wrong(books(*begun, tables=Tables({'a': KEY}, 0, 0, {'a': 'STARTED'}))) == {'lost', 'unfinished'}


def test_lost_by_the_transport() -> None:
    nothing = Tables({'a': KEY}, 0, 0, {})
    assert wrong(books(*sent(0), PROMISE, tables=nothing, transport_loses=True)) == {'lost', 'unfinished'}
    cut = books(*sent(0), PROMISE, note('cut', 5), tables=nothing, transport_loses=True)
    assert wrong(cut) == {'lost_by_transport'}
    assert cut.balance
    assert wrong(books(note('cut', 5), *sent(10), tables=nothing, transport_loses=True)) == {'lost', 'unfinished'}
    child = note('killed', 5, of=10)
    assert wrong(books(*sent(0), child, tables=nothing, transport_loses=True)) == {'lost', 'unfinished'}


def test_a_break_loses_one_message() -> None:
    another = Key('export.add', 'b', 0)
    tables = Tables({'a': KEY, 'b': another}, 0, 0, {})
    lost = [*sent(0), *sent(0, another, 'b'), note('cut', 5)]
    assert wrong(books(*lost, tables=tables, transport_loses=True)) == {'lost', 'lost_by_transport', 'unfinished'}


def test_a_chord_that_waits_for_what_the_transport_lost() -> None:
    chord = note('promised', 2, PRODUCER, promises={'a': 'SUCCESS', 'body': 'SUCCESS'})
    lost = [*sent(0), chord, note('cut', 5)]
    tables = Tables({'a': KEY, 'unlock': Key('celery.chord_unlock', 'unlock', 7)}, 0, 0, {})
    unlock = ('celery.chord_unlock', 'unlock', 7)
    its_own, of_another = sent(20, unlock, 'body'), sent(20, unlock, 'another')
    assert wrong(books(*lost, *its_own, tables=tables, transport_loses=True)) == {'lost_by_transport'}
    assert wrong(books(*lost, *of_another, tables=tables, transport_loses=True)) == {'lost', 'lost_by_transport'}


KILLED_CHILD, KILLED_WORKER = note('killed', 12, of=10), note('killed', 12, of=1)
HUNG = [note('paused', 11, of=1), note('continued', 11 + 2 * LEASE, of=1)]
# A run that another worker takes over.
BROKEN = [*sent(0), received(10), *run(10)]
LATER = 10 + 2 * LEASE
TAKEN_OVER = whole(LATER, number=2, process=2)


@pytest.mark.parametrize(
    ('what', 'reason'),
    [
        ([*BROKEN, KILLED_CHILD, *TAKEN_OVER], 'taken over from a killed process'),
        ([*BROKEN, KILLED_WORKER, *TAKEN_OVER], 'taken over from a killed process'),
        ([*BROKEN, *HUNG, *TAKEN_OVER], 'taken over from a worker that hung'),
        (
            [*BROKEN, *HUNG, *run(10, 12 + 2 * LEASE, 13 + 2 * LEASE)[1:], *TAKEN_OVER],
            'taken over from a worker that hung',
        ),
        (
            [*sent(0), *run(10, end=20), note('asked_to_stop', 11, of=1), *TAKEN_OVER],
            'taken over from a worker that ended',
        ),
        ([*sent(0), *run(10, end=10.5), note('killed', 11, of=1), *TAKEN_OVER], 'taken over from a killed process'),
    ],
)
def test_again_because_the_first_run_broke(what: list[dict[str, Any]], reason: str) -> None:
    found = books(*what)
    assert wrong(found) == set()
    assert found.counts[f'runs again, {reason}'] == 1
    assert sum(count for name, count in found.counts.items() if name.startswith('runs again')) == 1


@pytest.mark.parametrize(
    ('key', 'nesting', 'reason'),
    [(('export.add', 'a', 1), 0, 'retries'), (('msg.total', 'a', 0), 1, 'replacements')],
)
def test_again_because_it_was_tried_again(key: tuple[str, str, int], nesting: int, reason: str) -> None:
    """The next try may start before the process has stored that the last one is over."""
    tables = Tables({'a': Key(*key)}, 0, 0, {'a': 'SUCCESS'})
    first = [*sent(0), received(10), *run(10, handed_on=10.5, end=12), acknowledged(13), *sent(10.5, key)]
    second = whole(11, key=key, nesting=nesting, number=2, process=2)
    found = books(*first, *second, tables=tables)
    assert wrong(found) == set()
    assert found.counts[f'runs again, {reason}'] == 1
    early = whole(10.4, key=key, nesting=nesting, number=2, process=2)
    assert wrong(books(*first, *early, tables=tables)) == {'at_the_same_time'}
    again = run(20, number=3, process=2)
    assert wrong(books(*first, *whole(14, key=key, nesting=nesting, number=2), *again, tables=tables)) == {
        'after_the_end'
    }
    unstored = run(14, end=15, key=key, nesting=nesting, number=2)
    assert wrong(books(*first, *unstored, acknowledged(16, key), *again, tables=tables)) == {'without_a_reason'}


@pytest.mark.parametrize(
    'no_reason',
    [
        [],
        [note('cut', 11)],
        [note('killed', 9, of=11)],
        [note('killed', 12, of=2)],
        [note('killed', LATER + 1, of=1)],
        # It was too short for its lease to end.
        [note('paused', 11, of=1), note('continued', 12, of=1)],
        # Another worker hung.
        [note('paused', 11, of=2), note('continued', LATER - 5, of=2)],
        # It was asked to stop, and goes on.
        [note('asked_to_stop', 11, of=1)],
    ],
)
def test_twice_at_the_same_time(no_reason: list[dict[str, Any]]) -> None:
    assert wrong(books(*BROKEN, *no_reason, *TAKEN_OVER)) == {'at_the_same_time'}
    assert wrong(books(*BROKEN, *run(10, LATER + 5, LATER + 6)[1:], *no_reason, *TAKEN_OVER)) == {'at_the_same_time'}


@pytest.mark.parametrize(
    'no_reason', [[], [note('cut', 11)], [note('killed', 10.5, of=1)], [note('killed', 12, of=1)], HUNG]
)
def test_twice_after_the_end(no_reason: list[dict[str, Any]]) -> None:
    """Whatever breaks: a task whose end is stored does not run again."""
    assert wrong(books(*ONCE, *no_reason, *TAKEN_OVER)) == {'after_the_end'}


@pytest.mark.parametrize(
    'no_reason', [[], [note('cut', 11)], [note('killed', 15, of=1)], [note('asked_to_stop', LATER + 1, of=1)]]
)
def test_twice_without_a_reason(no_reason: list[dict[str, Any]]) -> None:
    unstored = [*sent(0), received(10), *run(10, end=11), acknowledged(12)]
    assert wrong(books(*unstored, *no_reason, *TAKEN_OVER)) == {'without_a_reason'}


def test_a_worker_that_hung_before_its_task_began() -> None:
    """It has claimed the task, and begins it when it goes on."""
    late = run(11.1 + 2 * LEASE, 12 + 2 * LEASE, 13 + 2 * LEASE)
    taken_over = whole(11 + LEASE, number=2, process=2)
    found = books(*sent(0), *HUNG, *taken_over, *late)
    assert wrong(found) == set()
    assert found.counts['runs again, by a worker that hung'] == 1
    newer = run(11.1 + 2 * LEASE, 12 + 2 * LEASE, 13 + 2 * LEASE, number=3)
    assert wrong(books(*sent(0), *HUNG, *taken_over, *newer)) == {'after_the_end'}


def test_what_an_overtaken_run_says_ends_nothing() -> None:
    retry = ('export.add', 'a', 1)
    tables = Tables({'a': Key(*retry)}, 0, 0, {'a': 'SUCCESS'})
    overtaken = run(10, 12 + 2 * LEASE, 13 + 2 * LEASE)
    taken_over = [
        received(11 + LEASE, process=2),
        *run(11 + LEASE, handed_on=12 + LEASE, end=13 + LEASE, number=2, process=2),
        acknowledged(14 + LEASE, process=2),
    ]
    last = whole(14 + 2 * LEASE, key=retry, number=3, process=2)
    assert (
        wrong(books(*sent(0), *overtaken, *HUNG, *taken_over, *sent(12 + LEASE, retry), *last, tables=tables)) == set()
    )


def test_a_task_without_a_result_may_run_twice() -> None:
    unlock = ('celery.chord_unlock', 'b', 0)
    tables = Tables({'a': KEY, 'b': Key(*unlock)}, 0, 0, {'a': 'SUCCESS'})
    runs = [*whole(10, key=unlock), *run(10.5, 12, 13, key=unlock, process=2)]
    assert wrong(books(*ONCE, *sent(0, unlock, 'b'), *runs, tables=tables)) == set()


def test_sent_again() -> None:
    second = [*sent(30), received(40), acknowledged(41)]
    assert wrong(books(*ONCE, *second)) == {'sent_again'}
    sender = ('export.sender', 'b', 0)
    again = [
        *sent(0, sender),
        *run(1, key=sender),
        note('killed', 2, of=10),
        *whole(2 + LEASE, key=sender, number=2, process=2),
    ]
    tables = Tables({'a': KEY, 'b': Key(*sender)}, 0, 0, {'a': 'SUCCESS', 'b': 'SUCCESS'})
    assert wrong(books(*again, *ONCE, *second, tables=tables)) == set()


@pytest.mark.parametrize(('seconds', 'expected'), [(LEASE, set()), (LEASE / 2, {'sent_again'})])
def test_a_worker_hangs_while_it_sends_what_follows(seconds: float, expected: set[str]) -> None:
    """Another worker, which has a copy of the task, sends the errback instead."""
    failed, errback = ('export.fail', 'b', 0), ('export.regret', 'c', 0)
    end = 3 + seconds
    notes = [
        *sent(0, failed, 'b'),
        received(1, failed),
        *run(2, end, end, key=failed),
        note('paused', 3, of=1),
        *sent(end, errback, 'b'),
        note('continued', end, of=1),
        *sent(end, errback, 'b'),
        acknowledged(end + 2, failed),
        *whole(end + 3, key=errback),
        received(end + 5, errback),
        acknowledged(end + 6, errback),
    ]
    tracked = {'a': KEY, 'b': Key(*failed), 'c': Key(*errback)}
    tables = Tables(tracked, 0, 0, {'a': 'SUCCESS', 'b': 'FAILURE', 'c': 'SUCCESS'})
    assert wrong(books(*ONCE, *notes, tables=tables)) == expected


def test_a_replacement_that_was_not_tracked() -> None:
    replacement = ('msg.total', 'a', 0)
    notes = [
        *sent(12, replacement),
        received(13, replacement),
        acknowledged(14, replacement),
    ]
    assert wrong(books(*ONCE, *notes)) == {'missing'}


def test_what_may_be_there_or_not() -> None:
    attempt = note('sending', 0, PRODUCER, key=TASK, root='a')
    assert wrong(books(attempt, tables=Tables({}, 0, 0, {}))) == set()
    assert wrong(books(attempt, *whole(10))) == set()


def test_batches() -> None:
    """Whoever is killed before a batch is sent may have sent its tasks or not."""
    begun = note('batch_begun', 0, PRODUCER, batch='x')
    attempt = note('sending', 0, PRODUCER, key=TASK, root='a')
    killed = books(begun, attempt, tables=Tables({}, 0, 0, {}))
    assert wrong(killed) == set()
    assert (killed.counts['batches'], killed.counts['batches that were not sent whole']) == (1, 1)
    whole_batch = books(begun, note('batch_sent', 3, PRODUCER, batch='x'), *ONCE)
    assert wrong(whole_batch) == set()
    assert whole_batch.counts['batches that were not sent whole'] == 0


IN_TRANSACTION = note('sending', 0, PRODUCER, key=TASK, root='a', transaction='x')


def test_an_outbox_that_was_committed() -> None:
    """Its tasks were sent, even if nobody noted it: the producer may have been killed meanwhile."""
    journal = Journal([IN_TRANSACTION, *whole(10)], committed={'a'})
    found = balance(journal, ALL_WELL)
    assert wrong(found) == set()
    assert (found.counts['tasks scheduled'], found.counts['tasks that were not committed']) == (1, 0)
    assert found.counts['transactions with an outbox'] == 1
    assert found.counts['transactions that were not committed'] == 0
    unsent = Journal([IN_TRANSACTION], committed={'a'})
    assert wrong(balance(unsent, Tables({}, 0, 0, {}, in_outbox=1))) == {'missing', 'lost', 'in_outbox', 'unfinished'}
    again = Journal([IN_TRANSACTION, *whole(10), *TAKEN_OVER], committed={'a'})
    assert wrong(balance(again, ALL_WELL)) == {'after_the_end'}


@pytest.mark.parametrize(
    ('notes', 'tables', 'what'),
    [
        ([], Tables({}, 0, 0, {}), set()),
        ([], Tables({'a': KEY}, 0, 0, {}), {'not_committed'}),
        ([], Tables({}, 0, 0, {'a': 'STARTED'}), {'not_committed'}),
        ([received(10)], Tables({}, 0, 0, {}), {'not_committed'}),
    ],
)
def test_an_outbox_that_was_not_committed(notes: list[dict[str, Any]], tables: Tables, what: set[str]) -> None:
    """Its tasks appear nowhere."""
    found = books(IN_TRANSACTION, *notes, tables=tables)
    assert wrong(found) == what
    assert (found.counts['tasks that may be there or not'], found.counts['tasks that were not committed']) == (0, 1)
    assert found.counts['transactions that were not committed'] == 1


def test_the_body_of_a_chord_that_did_not_run() -> None:
    chord = note('chord', 2, PRODUCER, body='b')
    promise = note('promised', 2, PRODUCER, promises={'a': 'SUCCESS', 'b': 'SUCCESS'})
    tables = Tables({'a': KEY}, 0, 0, {'a': 'SUCCESS', 'b': 'SUCCESS'})
    assert wrong(books(*ONCE, chord, promise, tables=tables)) == {'chords'}
    assert wrong(books(*ONCE, chord, promise)) == {'unfinished', 'chords'}


@pytest.mark.parametrize(('state', 'what'), [('REJECTED', set()), ('RETRY', {'chords', 'unfinished'})])
def test_a_chord_that_celery_gives_up(state: str, what: set[str]) -> None:
    unlock = ('celery.chord_unlock', 'unlock', 0)
    notes = [
        note('chord', 2, PRODUCER, body='b'),
        note('promised', 2, PRODUCER, promises={'a': 'SUCCESS', 'b': 'SUCCESS'}),
        *sent(2, unlock, 'b'),
        *run(10, end=11, key=unlock, state=state),
        acknowledged(12, unlock),
    ]
    tables = Tables({'a': KEY, 'unlock': Key(*unlock)}, 0, 0, {'a': 'SUCCESS', 'b': 'FAILURE'})
    assert wrong(books(*ONCE, *notes, tables=tables)) == what
