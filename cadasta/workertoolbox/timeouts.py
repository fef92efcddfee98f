"""The time that a process waits for a silent broker or database, and that a broker waits for a silent worker."""

from collections.abc import Mapping
from typing import Any

#: A process gives up on a broker that owes it an answer for this long, in seconds.
SILENCE = 10
#: A program waits this long until RabbitMQ has confirmed a message: the option ``confirm_timeout``, in seconds.
CONFIRMATION = 30
#: The options of kombu's transports that set this limit. By default, a process waits for an answer for ever.
BROKER: Mapping[str, Mapping[str, Any]] = {
    'amqp': {'read_timeout': SILENCE, 'write_timeout': SILENCE},
    # A worker that waits for messages asks the broker nothing, so kombu checks the connection for it: at the latest
    # after twice this interval and a second.
    'redis': {'socket_timeout': SILENCE, 'socket_connect_timeout': SILENCE, 'health_check_interval': SILENCE // 2},
}
#: With these parameters, libpq notices within a minute that a database is gone, also while it waits for an answer. By
#: default it waits for hours.
LIBPQ: Mapping[str, int] = {
    'connect_timeout': 10,
    'keepalives_idle': 30,
    'keepalives_interval': 10,
    'keepalives_count': 3,
    'tcp_user_timeout': 60_000,
}
#: A broker delivers the messages of a killed worker again after this many seconds. A living worker renews its leases.
VISIBILITY = 300

_KINDS = {
    'sqs': 'sqs',
    **dict.fromkeys(('amqp', 'amqps', 'pyamqp'), 'amqp'),
    **dict.fromkeys(('redis', 'rediss', 'sentinel'), 'redis'),
}
# kombu looks in Redis for messages that it must deliver again. By default it does so at every tenth interval, and an
# interval is ten seconds long, even if the visibility timeout is shorter.
_THROTTLE = 10
_RESTORE_INTERVAL = 10
#: If the visibility timeout is too short for these intervals, kombu looks this many times within it.
_RESTORES = 10


def broker_options(transport: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the transport options of an app by those that its broker needs.

    :param transport: kombu's name of the transport.
    :param given: the options of the app. They take precedence.
    :returns: all options.
    :raises ValueError: if the ``visibility_timeout`` is no number of seconds, or less than 1.

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
            # This interval lets kombu look at least once in each tenth of the visibility timeout.
            throttle = options.get('unacked_restore_throttle') or _THROTTLE
            interval = min(timeout / _RESTORES / throttle, _RESTORE_INTERVAL)
            options.setdefault('unacked_restore_interval', interval)
    return options


def missing_timeouts(query: Mapping[str, Any]) -> dict[str, int]:
    """Tell the timeouts that are missing from the parameters of a connection to a database.

    :param query: the parameters, as the query of a URL or as libpq takes them.
    :returns: the missing parameters with their values.

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


def connect_once(connection: Any) -> None:
    """Connect to a broker, and try each server of a list once. The caller says how long to wait before the next try.

    :param connection: a connection of kombu.
    :raises Exception: what the client of the broker raises.
    """
    connection.ensure_connection(max_retries=max(0, len(connection.alt) - 1), reraise_as_library_errors=False)
