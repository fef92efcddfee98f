"""Rule 3: each queue gets its messages and no other queue does."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations
from .delivery import misdelivery
from .rule import Verdict


def judge(seen: Observations) -> Iterator[Verdict]:
    for queue, messages in seen.messages.items():
        for how, message in messages.items():
            violation = misdelivery(seen, f'a message for {queue!r}, {how}', message.attempt, message.queue)
            yield Verdict({'queue': queue, 'message': how}, violation)
