"""Rule 2: all queues are bound to a topic exchange."""

from collections.abc import Iterator

from ..rehearsal.observing import Observations
from .rule import Verdict, Violation


def judge(seen: Observations) -> Iterator[Verdict]:
    yield Verdict({'exchange': seen.default_exchange}, _type(seen))
    for queue in seen.architecture:
        yield Verdict({'queue': queue}, _binding(seen, queue))
    for queue, error in seen.bindings.refused.items():
        yield Verdict({'queue': queue}, _refusal(seen, queue, error))


def _type(seen: Observations) -> Violation | None:
    exchange = seen.default_exchange
    types = {seen.default_exchange_type, seen.bindings.type_of(exchange) or 'that of no queue'}
    if types == {'topic'}:
        return None
    return Violation(
        'the default exchange is a topic exchange',
        f'exchange {exchange!r} (settings task_default_exchange_type, task_default_exchange, task_queues)',
        f'declared as {" and ".join(sorted(types))}',
        "Set task_default_exchange_type to 'topic', and give queues in task_queues the same exchange.",
    )


def _binding(seen: Observations, queue: str) -> Violation | None:
    exchange = seen.default_exchange
    bound_to = seen.bindings.exchanges_of(queue)
    if exchange in bound_to:
        return None
    return Violation(
        "all of the architecture's queues are bound to the default exchange",
        f'queue {queue!r}',
        f'it is bound to {sorted(bound_to) or "nothing"}, not to {exchange!r}'
        if queue in seen.queues
        else f'task_queues has no queue of this name, but {sorted(seen.queues)}',
        f'Name {queue!r} in QUEUES and leave task_queues out, or let task_queues have a Queue of this '
        f'name on {exchange!r}; leave task_default_exchange alone once Config has been made.',
    )


def _refusal(seen: Observations, queue: str, error: Exception) -> Violation:
    return Violation(
        'all queues can be declared',
        f'queue {queue!r}',
        error,
        f'Let all queues in task_queues declare exchange {seen.default_exchange!r} with the same type and options.',
    )
