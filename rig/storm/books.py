"""Balance the books of a storm: check that all that was sent, run, tracked and stored agrees.

Celery delivers a message *at least once*. The package promises more than that, and the books check it:

- The monitor tracks a task once, in the state of its last retry, if `delay()` returned, or the batch that it was called
  in. It may track a task or not, if `delay()` raised an error, if the error of a batch names it, or if its process was
  killed meanwhile. It tracks nothing else, and rejects nothing.
- A task of an outbox counts as called if its transaction was committed, whatever became of its process. If it was not,
  nobody tracks, receives or stores the task. The outbox is empty at the end.
- A task runs in one process at a time, and not again after its success or failure was stored, however often its message
  is delivered. It runs again only if it is retried or replaced, if its process was killed meanwhile, if its worker
  hung for longer than its lease, or if its worker was told to end while the database was away.
- Every scheduled task has ended, and its result is stored. The bodies of all chords ran. Celery fails the body of a
  chord whose watch it could not send again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ..servers.broker import Key
from .journal import WITHOUT_RESULT, Journal
from .once import judge

# The states of tasks for which the producer promises none. The body of a chord fails with its header.
ENDS = {'export.fail': ('FAILURE',), 'msg.total': ('SUCCESS', 'FAILURE')}


ENDED = ('SUCCESS', 'FAILURE')


class Tables(NamedTuple):
    """The contents of the database, and the messages that are not stored there yet.

    :param tracked: the message of each tracked task, by id, from the Task table
    :param rejected: the number of rows in the table of rejected messages
    :param waiting: the number of messages in the platform queue
    :param results: the state of each result, by task id
    :param in_outbox: the number of rows in the outbox
    """

    tracked: Mapping[str, Key]
    rejected: int
    waiting: int
    results: Mapping[str, str]
    in_outbox: int = 0


class Books(NamedTuple):
    """The balance of a storm.

    :param counts: the number of each thing, by its name
    :param missing: ids that were scheduled, but are not tracked with their last retry
    :param strange: ids that are tracked, but were never sent
    :param rejected: the number of messages that the monitor could not read
    :param waiting: the number of messages that are left in the platform queue
    :param in_outbox: the number of messages that are left in the outbox
    :param not_committed: ids of tasks that were not committed, and that somebody tracked, received or stored
    :param lost: messages that no worker acknowledged
    :param at_the_same_time: messages that ran while their tasks ran already
    :param after_the_end: messages that ran after their tasks had ended
    :param without_a_reason: messages that ran again without a reason
    :param sent_again: messages that were sent again without a reason
    :param unfinished: ids without a result, or with a wrong state, and that state
    :param chords: ids of the bodies of chords that did not run
    :param not_named: ids of tasks that never ended, and that `toolbox lost` did not name
    :param named_wrongly: ids of tasks that it named, and that were not lost
    :param lost_by_transport: messages that the transport lost. This list need not be empty.
    """

    counts: Mapping[str, int]
    missing: list[str]
    strange: list[str]
    rejected: int
    waiting: int
    in_outbox: int
    not_committed: list[str]
    lost: list[Key]
    at_the_same_time: list[Key]
    after_the_end: list[Key]
    without_a_reason: list[Key]
    sent_again: list[Key]
    unfinished: list[str]
    chords: list[str]
    not_named: list[str]
    named_wrongly: list[str]
    lost_by_transport: list[Key]

    @property
    def balance(self) -> bool:
        return not any(self[1:-1])

    @property
    def open_items(self) -> int:
        """The number of things that are still to come."""
        lists = (self.missing, self.lost, self.lost_by_transport, self.unfinished, self.chords)
        return self.waiting + self.in_outbox + sum(map(len, lists))

    @property
    def progress(self) -> tuple[int, ...]:
        """Gives what changes when a task ends. A chord that waits for a lost task sends its watch again each second."""
        lost = [key for key in (*self.lost, *self.lost_by_transport) if key.task != WITHOUT_RESULT]
        return len(lost), len(self.unfinished), len(self.chords)

    def __str__(self) -> str:
        lines = [f'{what:<42}{count:>8}' for what, count in self.counts.items()]
        for name, value in zip(self._fields[1:], self[1:], strict=True):
            count, examples = (value, []) if isinstance(value, int) else (len(value), value[:3])
            lines.append('  '.join([f'{name.replace("_", " "):<42}{count:>8}', *map(str, examples)]))
        return '\n'.join([*lines, 'The books balance.' if self.balance else 'THE BOOKS DO NOT BALANCE.'])


def without_end(journal: Journal, tables: Tables, before: float) -> set[str]:
    """List the tracked tasks that have not ended, and of which no process has said anything since a time."""
    heard: dict[str, float] = {}
    for key, at in journal.last_heard.items():
        heard[key.id] = max(at, heard.get(key.id, at))
    return {id_ for id_ in tables.tracked if tables.results.get(id_) not in ENDED and heard.get(id_, before) <= before}


def balance(journal: Journal, tables: Tables, transport_loses: bool = False) -> Books:
    """Balance the books.

    :param journal: the messages that were sent and run
    :param tables: the tasks that were tracked, and the results that were stored
    :param transport_loses: whether the transport loses a message that it delivers when a connection breaks
    """
    sent = [key for key in journal.attempts if journal.sendings[key]]
    order = {key: number for number, key in enumerate(journal.attempts)}
    latest = {key.id: key for key in sent}
    attempted = {key.id for key in journal.attempts}
    open_ = [key for key in sent if key not in journal.acknowledgements]
    # A worker that is killed may have stored the end of a task, and not have acknowledged its message.
    stored = {key for key in journal.purged if tables.results.get(key.id) in ENDED}
    open_ = [key for key in open_ if key not in stored]
    by_transport: list[Key] = []
    taken: Counter[str] = Counter()
    # Each break loses at most one message of each worker, and each worker has queues of its own.
    for key in sorted(open_, key=journal.last_heard.__getitem__, reverse=True):
        service = key.task.partition('.')[0]
        if transport_loses and journal.breaks_after(journal.last_heard[key]) > taken[service]:
            taken[service] += 1
            by_transport.append(key)
    excused = journal.dependents(by_transport)
    done = {key.id for key in (*journal.acknowledgements, *stored)}
    appeared = tables.tracked.keys() | tables.results.keys() | journal.received
    verdict = judge(journal)
    ends = {key.id: ENDS.get(key.task, ('SUCCESS',)) for key in sent if key.task != WITHOUT_RESULT} | {
        id_: (state,) for workflow in journal.workflows for id_, state in workflow.items()
    }
    ends |= {id_: (*ends[id_], 'FAILURE') for id_ in journal.given_up & ends.keys()}
    return Books(
        counts={
            'workflows': len(journal.workflows),
            'workflows refused to their sender': journal.refused,
            'tasks scheduled': len(latest),
            'tasks that may be there or not': len(attempted - latest.keys() - journal.not_committed),
            'tasks that were not committed': len(journal.not_committed),
            'tasks tracked': len(tables.tracked),
            'results': len(tables.results),
            'batches': len(journal.batches),
            'batches that were not sent whole': len(journal.batches - journal.sent_batches),
            'transactions with an outbox': len(journal.transactions),
            'transactions that were not committed': len(journal.transactions - journal.committed_transactions),
            'chords': len(journal.chords),
            'chords that Celery gave up': len(journal.given_up),
            'messages': len(sent),
            'runs': sum(map(len, journal.runs.values())),
            **{f'runs again, {reason}': count for reason, count in sorted(verdict.reasons.items())},
            'messages purged': len(journal.purged),
            'connections cut': len(journal.cuts),
            'processes of workers killed': len(journal.kills),
            'workers that hung': sum(map(len, journal.pauses.values())),
            'workers that hung when asked to stop': journal.hung,
            'workers that ended by themselves': journal.ended,
        },
        missing=[id_ for id_, key in latest.items() if order.get(tables.tracked.get(id_), -1) < order[key]],
        strange=sorted(tables.tracked.keys() - attempted),
        rejected=tables.rejected,
        waiting=tables.waiting,
        in_outbox=tables.in_outbox,
        not_committed=sorted(journal.not_committed & appeared),
        # A `celery.chord_unlock` waits for the header of its chord for ever, if a task of the header was lost.
        lost=[
            key for key in open_ if key not in by_transport and not (key.task == WITHOUT_RESULT and key.id in excused)
        ],
        at_the_same_time=[run.key for run in verdict.at_once],
        after_the_end=[run.key for run in verdict.after_end],
        without_a_reason=[run.key for run in verdict.without_reason],
        sent_again=journal.sent_again(),
        unfinished=[
            f'{id_} is {tables.results.get(id_)}, not {" or ".join(states)}'
            for id_, states in ends.items()
            if tables.results.get(id_) not in states and id_ not in excused
        ],
        chords=sorted((journal.chords & ends.keys()) - done - excused - journal.given_up),
        not_named=[],
        named_wrongly=[],
        lost_by_transport=by_transport,
    )
