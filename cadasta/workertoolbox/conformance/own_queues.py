"""Rule 3: each queue gets its messages and no other queue does."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations
from .delivery import misdelivery
from .rule import Verdict


def judge(seen: Observations) -> Iterator[Verdict]:
    for queue, attempts in seen.messages.items():
        for how, attempt in attempts.items():
            violation = misdelivery(seen, f'a message for {queue!r}, {how}', attempt, queue)
            yield Verdict({'queue': queue, 'message': how}, violation)
