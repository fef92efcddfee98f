"""How long a process waits for a silent broker or database, and a broker for a silent worker."""

from collections.abc import Mapping
from typing import Any

#: A broker that owes an answer for so long is away, in seconds.
SILENCE = 10
#: The options of kombu's transports that say so. A process would wait for an answer for ever.
BROKER: Mapping[str, Mapping[str, Any]] = {
    'amqp': {'read_timeout': SILENCE, 'write_timeout': SILENCE},
    # A worker that waits for messages asks nothing: kombu looks for it, at twice this interval and a second.
    'redis': {'socket_timeout': SILENCE, 'socket_connect_timeout': SILENCE, 'health_check_interval': SILENCE // 2},
}
#: A database that is gone is noticed within a minute, also when it owes an answer; libpq would wait for hours.
LIBPQ: Mapping[str, int] = {
    'connect_timeout': 10,
    'keepalives_idle': 30,
    'keepalives_interval': 10,
    'keepalives_count': 3,
    'tcp_user_timeout': 60_000,
}
#: What a killed worker held is delivered again after so many seconds. A living one renews its leases.
VISIBILITY = 300

_KINDS = {
    'sqs': 'sqs',
    **dict.fromkeys(('amqp', 'amqps', 'pyamqp'), 'amqp'),
    **dict.fromkeys(('redis', 'rediss', 'sentinel'), 'redis'),
}
# In Redis, kombu looks for what it should deliver again at every tenth of its intervals, which are ten seconds long
# whatever the visibility timeout is.
_THROTTLE = 10
_RESTORE_INTERVAL = 10
#: How often it looks within a visibility timeout that is shorter than these intervals allow for.
_RESTORES = 10


def broker_options(transport: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the transport options of an app by what its broker needs.

    :param transport: kombu's name of the transport.
    :param given: the options that the app gives; they come first.
    :returns: all options.
    :raises ValueError: where the ``visibility_timeout`` is no number of seconds.

    >>> broker_options('amqp', {'read_timeout': 30})
    {'read_timeout': 30, 'write_timeout': 10}
    >>> broker_options('sqs', {})
    {'visibility_timeout': 300}
    """
    kind = _KINDS.get(transport.partition('+')[0], '')
    options = {**BROKER.get(kind, {}), **given}
    if kind in ('sqs', 'redis'):
        options.setdefault('visibility_timeout', VISIBILITY)
        timeout = _seconds(options['visibility_timeout'])
        if kind == 'redis':
            # Within a tenth of the visibility timeout, kombu has looked.
            throttle = options.get('unacked_restore_throttle') or _THROTTLE
            interval = min(timeout / _RESTORES / throttle, _RESTORE_INTERVAL)
            options.setdefault('unacked_restore_interval', interval)
    return options


def missing_timeouts(query: Mapping[str, Any]) -> dict[str, int]:
    """Tell the timeouts that are missing from what a database is connected to with.

    :param query: the query of its URL, or libpq's parameters.

    >>> sorted(missing_timeouts({'connect_timeout': 5}))
    ['keepalives_count', 'keepalives_idle', 'keepalives_interval', 'tcp_user_timeout']
    """
    return {name: value for name, value in LIBPQ.items() if name not in query}


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0
    if seconds < 1:
        raise ValueError(
            f'broker_transport_options has the visibility_timeout {value!r}: it must be a number of seconds, at '
            f'least 1, such as {VISIBILITY}'
        )
    return seconds
