"""Rule 8: queues on Amazon SQS have a prefix."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations, SQSName
from .rule import Verdict, Violation


def reason_to_skip(seen: Observations) -> str:
    return '' if seen.sqs else 'The broker of this app is not Amazon SQS.'


def judge(seen: Observations) -> Iterator[Verdict]:
    for queue, name in seen.sqs.items():
        yield Verdict({'queue': queue}, _prefix(queue, name))


def _prefix(queue: str, name: SQSName | Exception) -> Violation | None:
    if isinstance(name, SQSName) and _has_prefix(name):
        return None
    return Violation(
        'queues on Amazon SQS carry a prefix',
        f'queue {queue!r}',
        f'it is called {name.name!r} in Amazon SQS' if isinstance(name, SQSName) else name,
        "Set QUEUE_NAME_PREFIX of Config, and leave 'queue_name_prefix' in broker_transport_options to "
        "it. With 'predefined_queues', give every queue, by its name with the prefix, the URL of a "
        'queue of that name.',
    )


def _has_prefix(name: SQSName) -> bool:
    return name.name.endswith(name.bare) and name.name.removesuffix(name.bare).strip('-_') != ''
