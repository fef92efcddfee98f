"""The books of a storm show what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from rig.servers.broker import Key
from rig.storm.books import Books, Tables, balance
from rig.storm.journal import UNDER_WAY, Journal

WORKER, CHILD, PRODUCER = 1, 2, 3
TASK = ('export.add', 'a', 0)
KEY = Key(*TASK)


def note(event: str, at: float, process: int = WORKER, **what: Any) -> dict[str, Any]:
    return {'event': event, 'at': at, 'process': process, **what}


def sent(at: float, key: tuple[str, str, int] = TASK, root: str = 'a') -> list[dict[str, Any]]:
    return [note('sending', at, PRODUCER, key=key, root=root), note('sent', at + 1, PRODUCER, key=key)]


def delivered(at: float, delivery: int = 0) -> list[dict[str, Any]]:
    return [note('received', at, key=TASK, delivery=delivery), note('ran', at + 1, key=TASK, child=CHILD)]


def acknowledged(at: float, delivery: int = 0) -> dict[str, Any]:
    return note('acknowledged', at, key=TASK, delivery=delivery)


def run(at: float) -> list[dict[str, Any]]:
    return [*delivered(at), acknowledged(at + 2)]


PROMISE = note('promised', 2, PRODUCER, promises={'a': 'SUCCESS'})
ONCE = [*sent(0), PROMISE, *run(10)]
ALL_WELL = Tables({'a': KEY}, 0, 0, {'a': 'SUCCESS'})


def books(
    *notes: dict[str, Any], tables: Tables = ALL_WELL, transport_loses: bool = False, visibility_timeout: float = 1000
) -> Books:
    return balance(Journal(notes, visibility_timeout), tables, transport_loses)


def wrong(books: Books) -> set[str]:
    return {name for name, value in zip(books._fields[1:], books[1:], strict=True) if value}


def test_all_is_well() -> None:
    assert wrong(books(*ONCE)) == set()
    assert books(*ONCE).balance
    assert str(books(*ONCE)).endswith('The books balance.')


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
        note('received', 13, key=retry, delivery=1),
        note('acknowledged', 14, key=retry, delivery=1),
    ]
    assert wrong(books(*ONCE, *notes)) == {'missing'}


def test_lost() -> None:
    assert wrong(books(*sent(0))) == {'lost'}
    assert wrong(books(*sent(0), *delivered(10), note('killed', 11, of=WORKER))) == {'lost'}


def test_lost_by_the_transport() -> None:
    nothing = Tables({'a': KEY}, 0, 0, {})
    assert wrong(books(*sent(0), PROMISE, tables=nothing, transport_loses=True)) == {'lost', 'unfinished'}
    cut = books(*sent(0), PROMISE, note('cut', 5), tables=nothing, transport_loses=True)
    assert wrong(cut) == {'lost_by_transport'}
    assert cut.balance
    assert wrong(books(note('cut', 5), *sent(10), tables=nothing, transport_loses=True)) == {'lost', 'unfinished'}
    child = note('killed', 5, of=CHILD)
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


@pytest.mark.parametrize(
    'reason',
    [
        note('killed', 12 + UNDER_WAY / 2, of=WORKER),
        note('cut', 11),
        note('cut', 1),
        note('killed', 11, of=WORKER),
    ],
)
def test_twice_for_a_reason(reason: dict[str, Any]) -> None:
    assert wrong(books(*ONCE, reason, *run(30))) == set()


def test_twice_because_the_first_run_broke() -> None:
    assert wrong(books(*sent(0), *delivered(10), note('killed', 11, of=CHILD), *run(30))) == set()


def test_twice_at_the_same_time() -> None:
    """A worker runs on what it received before the cut; that acknowledgement goes nowhere."""
    first, second = delivered(10, delivery=1), delivered(20, delivery=2)
    ends = [acknowledged(30, delivery=1), acknowledged(30, delivery=2)]
    assert wrong(books(*sent(0), PROMISE, *first, note('cut', 15), *second, *ends)) == set()
    assert wrong(books(*sent(0), PROMISE, *first, *second, *ends)) == {'doubled'}


@pytest.mark.parametrize(
    'no_reason',
    [
        note('cut', 20),
        note('killed', 9, of=CHILD),
        note('killed', 11, of=WORKER + 100),
    ],
)
def test_twice_for_no_reason(no_reason: dict[str, Any]) -> None:
    assert wrong(books(*ONCE, no_reason, *run(30))) == {'doubled'}


def test_twice_because_it_was_held_for_too_long() -> None:
    assert wrong(books(*ONCE, *run(30), visibility_timeout=1)) == set()


def test_a_run_without_an_end() -> None:
    assert wrong(books(*ONCE, *delivered(30))) == {'doubled'}
    assert wrong(books(*ONCE, *delivered(30), note('cut', 99))) == {'doubled'}


def test_sent_again() -> None:
    second = [note('sending', 30, key=TASK, root='a'), note('sent', 31, key=TASK), *run(40)]
    assert wrong(books(*ONCE, *second)) == {'sent_again'}
    sender = ('export.sender', 'b', 0)
    again = [
        *sent(0, sender),
        *(
            note(event, at, key=sender, delivery=at, child=CHILD)
            for at in (1, 5)
            for event in ('received', 'ran', 'acknowledged')
        ),
    ]
    tables = Tables({'a': KEY, 'b': Key(*sender)}, 0, 0, {'a': 'SUCCESS', 'b': 'SUCCESS'})
    assert 'sent_again' not in wrong(books(*again, *ONCE, *second, tables=tables))


def test_a_replacement_that_was_not_tracked() -> None:
    replacement = ('msg.total', 'a', 0)
    notes = [
        *sent(12, replacement),
        note('received', 13, key=replacement, delivery=1),
        note('acknowledged', 14, key=replacement, delivery=1),
    ]
    assert wrong(books(*ONCE, *notes)) == {'missing'}


def test_what_may_be_there_or_not() -> None:
    attempt = note('sending', 0, PRODUCER, key=TASK, root='a')
    assert wrong(books(attempt, tables=Tables({}, 0, 0, {}))) == set()
    assert wrong(books(attempt, *run(10))) == set()
    assert wrong(books(attempt, *run(10), *run(20))) == set()


def test_the_body_of_a_chord_that_did_not_run() -> None:
    chord = note('chord', 2, PRODUCER, body='b')
    promise = note('promised', 2, PRODUCER, promises={'a': 'SUCCESS', 'b': 'SUCCESS'})
    tables = Tables({'a': KEY}, 0, 0, {'a': 'SUCCESS', 'b': 'SUCCESS'})
    assert wrong(books(*ONCE, chord, promise, tables=tables)) == {'chords'}
    assert wrong(books(*ONCE, chord, promise)) == {'unfinished', 'chords'}
