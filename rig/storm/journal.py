"""Read about each message in the notes of a storm's processes."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from ..servers.broker import Key

#: The seconds for which data that a process wrote to a connection may still be on their way.
UNDER_WAY = 2.0

Note = Mapping[str, Any]


class Run(NamedTuple):
    begin: float
    worker: int
    child: int


class Acknowledgement(NamedTuple):
    received: float
    at: float
    worker: int


def read(path: Path) -> list[Note]:
    """Read notes. The last line may be half written."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith('\n')]


class Journal:
    """The messages that were sent, received and run, and the breaks meanwhile.

    :param notes: the notes that the processes wrote
    :param visibility_timeout: the seconds after which the broker delivers a message again that is not acknowledged
    """

    def __init__(self, notes: Iterable[Note], visibility_timeout: float = inf) -> None:
        self.visibility_timeout = visibility_timeout
        self.cuts: list[float] = []
        self.kills: dict[int, float] = {}
        self.attempts: Counter[Key] = Counter()
        self.sendings: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        self.runs: dict[Key, list[Run]] = defaultdict(list)
        self.acknowledgements: dict[Key, list[Acknowledgement]] = defaultdict(list)
        self.last_heard: dict[Key, float] = {}
        self.roots: dict[str, str] = {}
        self.workflows: list[dict[str, str]] = []
        self.refused = 0
        self.hung = 0
        self.ended = 0
        self.chords: set[str] = set()
        self._begun: dict[tuple[Key, int], float] = {}
        self._received: dict[tuple[int, int], float] = {}
        self._receivers: set[int] = set()
        self._deliveries: dict[Key, list[float]] = defaultdict(list)
        for note in notes:
            getattr(self, f'_read_{note["event"]}')(note)

    def is_cut(self, begin: float, end: float) -> bool:
        """Tell whether connections were cut between two times, or may have been."""
        index = bisect_left(self.cuts, begin - UNDER_WAY)
        return index < len(self.cuts) and self.cuts[index] <= end + UNDER_WAY

    def times_sent(self, key: Key) -> float:
        """Count how often a message was sent. A process that is cut off while it sends may send again."""
        sendings = self.sendings[key]
        if len(sendings) < self.attempts[key] or any(self.is_cut(*times) for times in sendings):
            return inf
        return len(sendings)

    def times_done(self, key: Key) -> int:
        """Count the acknowledgements that must have reached the broker in time."""
        return sum(map(self._has_reached, self.acknowledgements[key]))

    def runs_without_end(self, key: Key) -> int:
        """Count the runs that were not acknowledged though nothing broke."""
        without = Counter(run.worker for run in self.runs[key])
        without -= Counter(acknowledgement.worker for acknowledgement in self.acknowledgements[key])
        without -= Counter(run.worker for run in self.runs[key] if self._is_broken(run))
        return without.total()

    def deliveries_after_end(self, key: Key) -> int:
        """Count the deliveries that came when the message had been acknowledged as often as it was sent."""
        ends = sorted(
            acknowledgement.at for acknowledgement in self.acknowledgements[key] if self._has_reached(acknowledgement)
        )
        times = self.times_sent(key) or 1
        return sum(at > ends[int(times) - 1] for at in self._deliveries[key]) if len(ends) >= times else 0

    def sent_again(self) -> list[Key]:
        """List the messages that were sent again, although no task ran again that could have sent them."""
        excused = self.dependents(
            key for key, runs in self.runs.items() if len(runs) > len(self.sendings[key]) and key.id in self.roots
        )
        return [key for key, sendings in self.sendings.items() if len(sendings) > 1 and key.id not in excused]

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

    def _with_trees(self, ids: set[str]) -> set[str]:
        return ids | {id_ for id_, root in self.roots.items() if root in ids}

    def _is_broken(self, run: Run) -> bool:
        return self.is_cut(run.begin, inf) or run.worker in self.kills or run.child in self.kills

    def _has_reached(self, acknowledgement: Acknowledgement) -> bool:
        received, at, worker = acknowledgement
        return not (
            self.is_cut(received, at)
            or self.kills.get(worker, inf) <= at + UNDER_WAY
            # The broker counts the seconds from when it sent the message until the acknowledgement arrives.
            or at - received > self.visibility_timeout - UNDER_WAY
        )

    def _read_cut(self, note: Note) -> None:
        self.cuts.append(note['at'])

    def _read_hung(self, note: Note) -> None:
        self.hung += 1

    def _read_ended(self, note: Note) -> None:
        self.ended += 1

    def _read_killed(self, note: Note) -> None:
        self.kills[note['of']] = note['at']

    def _read_promised(self, note: Note) -> None:
        self.workflows.append(note['promises'])

    def _read_refused(self, note: Note) -> None:
        self.refused += 1

    def _read_chord(self, note: Note) -> None:
        self.chords.add(note['body'])

    def _read_sending(self, note: Note) -> None:
        key = self._hear(note)
        self.attempts[key] += 1
        self.roots[key.id] = note['root']
        self._begun[key, note['process']] = note['at']

    def _read_sent(self, note: Note) -> None:
        key = self._hear(note)
        self.sendings[key].append((self._begun[key, note['process']], note['at']))

    def _read_received(self, note: Note) -> None:
        self._deliveries[self._hear(note)].append(note['at'])
        self._receivers.add(note['process'])
        self._received[note['process'], note['delivery']] = note['at']

    def _read_ran(self, note: Note) -> None:
        self.runs[self._hear(note)].append(Run(note['at'], note['process'], note['child']))

    def _read_acknowledged(self, note: Note) -> None:
        received = self._received[note['process'], note['delivery']]
        self.acknowledgements[self._hear(note)].append(Acknowledgement(received, note['at'], note['process']))

    def _hear(self, note: Note) -> Key:
        key = Key(*note['key'])
        self.last_heard[key] = note['at']
        return key
