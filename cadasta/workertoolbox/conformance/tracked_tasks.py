"""Rule 4: each task is tracked."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations
from .delivery import misdelivery
from .rule import Verdict


def judge(seen: Observations) -> Iterator[Verdict]:
    for name, attempt in seen.tasks.items():
        yield Verdict({'task': name}, misdelivery(seen, f'task {name!r}', attempt))
    for name, attempt in seen.beat.items():
        yield Verdict({'beat_schedule': name}, misdelivery(seen, f'entry {name!r} of setting beat_schedule', attempt))
