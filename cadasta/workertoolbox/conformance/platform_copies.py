"""Rule 1: the platform gets a copy of every message."""

from collections.abc import Iterator

from ..architecture import DEFAULT_QUEUE, PLATFORM_QUEUE
from ..rehearsal.observing import Observations
from ..topology import key_of
from .rule import Verdict, Violation

_KEYS = ('one', 'one.two', 'one.two.three', '')


def judge(seen: Observations) -> Iterator[Verdict]:
    platform = seen.platform_queue
    yield Verdict({'setting': 'task_default_queue'}, _default_queue(seen))
    yield Verdict({'queue': platform}, _platform_queue(seen))
    yield Verdict({'queue': platform, 'bound_to': seen.default_exchange}, _binding(seen))
    for setting, transports in seen.transports.items():
        yield Verdict({'setting': setting}, _transport(setting, *transports))


def _default_queue(seen: Observations) -> Violation | None:
    if seen.default_queue == DEFAULT_QUEUE:
        return None
    return Violation(
        f'the default queue is {DEFAULT_QUEUE!r}',
        'setting task_default_queue',
        seen.default_queue,
        f'Leave out task_default_queue, or set it to {DEFAULT_QUEUE!r}.',
    )


def _platform_queue(seen: Observations) -> Violation | None:
    name = seen.platform_queue
    if name in seen.queues:
        return None
    setting = 'leave PLATFORM_QUEUE_NAME to it' if name == PLATFORM_QUEUE else f'set PLATFORM_QUEUE_NAME to {name!r}'
    return Violation(
        f'the platform queue is {name!r}',
        'setting task_queues',
        sorted(seen.queues),
        f'Configure the app by cadasta.workertoolbox.conf.Config, and {setting}.',
    )


def _binding(seen: Observations) -> Violation | None:
    platform, exchange = seen.platform_queue, seen.default_exchange
    keys = [*map(key_of, seen.architecture), *_KEYS]
    missed = [key for key in keys if platform not in seen.bindings.reached(exchange, key)]
    if not missed:
        return None
    return Violation(
        'the platform queue gets a copy of every message, whatever its key',
        f'queue {platform!r}',
        f'no copy of messages to exchange {exchange!r} with the routing keys {missed}',
        f"Bind {platform!r} to {exchange!r} with routing key '#', as Config does: do not list it in "
        'task_queues with another key or exchange.',
    )


def _transport(setting: str, named: str, taken_for: str) -> Violation | None:
    if named == taken_for:
        return None
    return Violation(
        'the app takes its broker for what the URL names',
        f'setting {setting}',
        f'the URL names a broker of kind {named!r}, and broker_transport makes the app take it for {taken_for!r}',
        'Set broker_transport to None.',
    )
