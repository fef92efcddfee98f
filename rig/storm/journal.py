"""Read about each message, and each run of a task, in the notes of a storm's processes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from ..servers.broker import Key
from .faults import LEASE

#: The seconds for which data that a process wrote to a connection may still be on their way.
UNDER_WAY = 2.0

#: Celery's watch over a chord. It stores no result, so that nobody can claim it.
WITHOUT_RESULT = 'celery.chord_unlock'

Note = Mapping[str, Any]


@dataclass
class Run:
    """A run of a task, which its worker was admitted to.

    :param key: the message
    :param number: the number that its claim got, which grows with each
    :param attempt: which try of the task it is: how often it replaced itself, and its retries
    :param begin: when it began
    :param worker: the main process of its worker
    :param child: the process that it ran in
    :param handed_on: when it began to send a retry or a replacement, which may then run
    :param stored: when its success or failure had been stored
    :param end: when it had left its process
    """

    key: Key
    number: int
    attempt: tuple[int, int]
    begin: float
    worker: int
    child: int
    handed_on: float = inf
    stored: float = inf
    end: float = inf


def read(path: Path) -> list[Note]:
    """Read notes. The last line may be half written."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith('\n')]


class Journal:
    """The messages that were sent, received and acknowledged, the runs of tasks, and the breaks meanwhile.

    :param notes: the notes that the processes wrote
    :param committed: the ids of the tasks that were committed with an outbox. These count as sent.
    """

    def __init__(self, notes: Iterable[Note], committed: Collection[str] = ()) -> None:
        self._committed = committed
        self.cuts: list[float] = []
        self.kills: dict[int, float] = {}
        self.requests_to_stop: dict[int, float] = {}
        self.pauses: dict[int, list[list[float]]] = defaultdict(list)
        self.attempts: Counter[Key] = Counter()
        self.sendings: Counter[Key] = Counter()
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.acknowledgements: Counter[Key] = Counter()
        self.last_heard: dict[Key, float] = {}
        self.roots: dict[str, str] = {}
        self.workflows: list[dict[str, str]] = []
        self.refused = 0
        self.purged: set[Key] = set()
        self.hung = 0
        self.ended = 0
        # The batches that producers began, and those of them that they sent whole.
        self.batches: set[str] = set()
        self.sent_batches: set[str] = set()
        # The transactions that wrote an outbox, and those of them that were committed.
        self.transactions: set[str] = set()
        self.committed_transactions: set[str] = set()
        # The tasks of the others.
        self.not_committed: set[str] = set()
        self.received: set[str] = set()
        self.chords: set[str] = set()
        # The bodies of chords whose watch could not be sent again when connections broke: Celery fails them.
        self.given_up: set[str] = set()
        self._receivers: set[int] = set()
        self._runs: dict[str, Run] = {}
        for note in notes:
            getattr(self, f'_read_{note["event"]}')(note)

    def death(self, run: Run) -> float:
        """Tell when the process of a run was killed, during the run or after it."""
        # The note of a kill comes before the kill, and the run may begin in between.
        kills = (max(self.kills.get(process, inf), run.begin) for process in (run.worker, run.child))
        return min(kills)

    def may_be_overtaken(self, run: Run, at: float) -> bool:
        """Tell whether the worker of a run may have hung for longer than its lease at a time, or just before it."""
        # It renewed its lease at some time before the pause.
        return any(begin + LEASE / 2 < at < end + UNDER_WAY for begin, end in self.pauses[run.worker])

    def sent_again(self) -> list[Key]:
        """List the messages that were sent again, although no task ran again that could have sent them.

        If a worker hangs while it sends what follows a task that failed, another worker sends that instead.
        """
        runs = [run for runs in self.runs.values() for run in runs]
        again = {key for key, times in Counter(run.key for run in runs).items() if times > self.sendings[key]}
        hung = {run.key for run in runs if self._may_have_hung(run)}
        excused = self.dependents(key for key in again | hung if key.id in self.roots)
        return [key for key, times in self.sendings.items() if times > 1 and key.id not in excused]

    def breaks_after(self, at: float) -> int:
        """Count the breaks since then that could have broken a delivery. Processes of pools receive no deliveries."""
        return sum(cut >= at - UNDER_WAY for cut in self.cuts) + sum(
            kill >= at for process, kill in self.kills.items() if process in self._receivers
        )

    def dependents(self, keys: Iterable[Key]) -> set[str]:
        """List all tasks of the workflows to which these messages belong."""
        ids = self._with_trees({id_ for key in keys for id_ in (key.id, self.roots[key.id])})
        for workflow in self.workflows:
            if not ids.isdisjoint(workflow):
                ids |= workflow.keys()
        return self._with_trees(ids)

    def _may_have_hung(self, run: Run) -> bool:
        """Tell whether the worker of a run may have hung for longer than its lease while it had the task."""
        return any(begin + LEASE / 2 < min(run.end, end) and run.begin < end for begin, end in self.pauses[run.worker])

    def _with_trees(self, ids: set[str]) -> set[str]:
        return ids | {id_ for id_, root in self.roots.items() if root in ids}

    def _read_cut(self, note: Note) -> None:
        self.cuts.append(note['at'])

    def _read_purged(self, note: Note) -> None:
        self.purged |= {Key(*key) for key in note['keys']}

    def _read_hung(self, note: Note) -> None:
        self.hung += 1

    def _read_ended_by_itself(self, note: Note) -> None:
        self.ended += 1

    def _read_killed(self, note: Note) -> None:
        self.kills[note['of']] = note['at']

    def _read_asked_to_stop(self, note: Note) -> None:
        self.requests_to_stop[note['of']] = note['at']

    def _read_paused(self, note: Note) -> None:
        self.pauses[note['of']].append([note['at'], inf])

    def _read_continued(self, note: Note) -> None:
        self.pauses[note['of']][-1][1] = note['at']

    def _read_promised(self, note: Note) -> None:
        self.workflows.append(note['promises'])

    def _read_refused(self, note: Note) -> None:
        self.refused += 1

    def _read_batch_begun(self, note: Note) -> None:
        self.batches.add(note['batch'])

    def _read_batch_sent(self, note: Note) -> None:
        self.sent_batches.add(note['batch'])

    def _read_chord(self, note: Note) -> None:
        self.chords.add(note['body'])

    def _read_sending(self, note: Note) -> None:
        key = self._hear(note)
        self.attempts[key] += 1
        self.roots[key.id] = note['root']
        if transaction := note.get('transaction'):
            self.transactions.add(transaction)
            if key.id in self._committed:
                self.committed_transactions.add(transaction)
                self.sendings[key] += 1
            else:
                self.not_committed.add(key.id)

    def _read_sent(self, note: Note) -> None:
        self.sendings[self._hear(note)] += 1

    def _read_received(self, note: Note) -> None:
        self.received.add(self._hear(note).id)
        self._receivers.add(note['process'])

    def _read_acknowledged(self, note: Note) -> None:
        self.acknowledgements[self._hear(note)] += 1

    def _read_begun(self, note: Note) -> None:
        key = self._hear(note)
        attempt = note['nesting'], key.retries
        run = Run(key, note['number'], attempt, note['at'], note['process'], note['child'])
        self.runs[key.id].append(run)
        self._runs[note['run']] = run

    def _read_handed_on(self, note: Note) -> None:
        run = self._runs[note['run']]
        run.handed_on = min(run.handed_on, note['at'])

    def _read_stored(self, note: Note) -> None:
        self._runs[note['run']].stored = note['at']

    def _read_ended(self, note: Note) -> None:
        run = self._runs[note['run']]
        run.end = note['at']
        if run.key.task == WITHOUT_RESULT and note['state'] == 'REJECTED':
            self.given_up.add(self.roots[run.key.id])

    def _hear(self, note: Note) -> Key:
        key = Key(*note['key'])
        self.last_heard[key] = note['at']
        return key
