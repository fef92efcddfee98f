"""Rule 5: chords are published and give up."""

from collections.abc import Iterator
from typing import Any

from ..architecture import CHORD_UNLOCK
from ..rehearsal.observing import Observations
from .delivery import misdelivery
from .rule import Verdict, Violation


def judge(seen: Observations) -> Iterator[Verdict]:
    for queue, attempt in seen.chords.items():
        violation = misdelivery(seen, f'a chord with its body in {queue!r}', attempt)
        yield Verdict({'chord_with_body_in': queue}, violation)
    yield Verdict({'task': CHORD_UNLOCK}, _patience(seen))


def _patience(seen: Observations) -> Violation | None:
    worker = seen.worker
    # Rule 9 judges a worker that could not be initialised.
    if worker is None or worker.error or _is_count(worker.chord_unlock_retries):
        return None
    return Violation(
        f'{CHORD_UNLOCK} gives up after a whole number of retries',
        f'task {CHORD_UNLOCK!r}',
        f'max_retries is {worker.chord_unlock_retries!r} once a worker has initialised itself',
        'Set CHORD_UNLOCK_MAX_RETRIES of Config, and leave max_retries of this task alone. An app that is '
        'not configured by a Config has to call cadasta.workertoolbox.setup.setup_app itself.',
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
