"""The queues that ``predefined_queues`` of the transport options names: kombu asks for some of them by another name."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kombu import Queue

from ..errors import SettingError
from ..seams.sqs_names import sqs_name
from ..topology import bindings_of

# A queue that is bound by such a key gets messages with other keys. An empty key names no queue.
_WILDCARDS = re.compile(r'[*#]|^$')


class PredefinedQueues(dict[str, Any]):
    """Predefined queues that can be found by other names as well.

    When kombu acknowledges a message, it looks for the queue that is called like the routing key of the message. A FIFO
    queue is never called so, because its messages have the name without ``.fifo`` as their routing key.

    :param queues: the predefined queues, as kombu takes them.
    :param aliases: the names of queues, by their other names.

    >>> queues = PredefinedQueues({'dev-export.fifo': {'url': 'https://…'}}, {'dev-export': 'dev-export.fifo'})
    >>> 'dev-export' in queues, queues['dev-export'] is queues['dev-export.fifo'], list(queues)
    (True, True, ['dev-export.fifo'])
    """

    def __init__(self, queues: Mapping[str, Any], aliases: Mapping[str, str]) -> None:
        super().__init__(queues)
        self._aliases = dict(aliases)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._real(name))

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(self._real(name))

    def __reduce__(self) -> Any:
        return type(self), (dict(self), self._aliases)

    def _real(self, name: Any) -> Any:
        return self._aliases.get(name, name)


def aliases_of(queues: Iterable[Queue], prefix: str) -> dict[str, str]:
    """Give the names by which kombu asks for queues, where they are not their own names in Amazon SQS.

    kombu asks by the routing key when it acknowledges a message, and by the name without the prefix when it receives
    messages in a worker that has no event loop, as with ``-P gevent``.

    :param queues: the work queues.
    :param prefix: the prefix of the names.
    :raises SettingError: where such a name is that of another queue, or cannot be known.

    >>> aliases_of([Queue('export.fifo', routing_key='export'), Queue('msg', routing_key='msg')], 'dev-')
    {'dev-export': 'dev-export.fifo', 'export.fifo': 'dev-export.fifo', 'msg': 'dev-msg'}
    """
    aliases: dict[str, str] = {}
    found = [
        (queue, key) for queue in sorted(queues, key=lambda queue: str(queue.name)) for _, key in bindings_of(queue)
    ]
    taken = {sqs_name(queue.name, prefix): queue for queue, _ in found}
    for queue, key in found:
        asked = sqs_name(key, prefix)
        other = taken.setdefault(asked, queue)
        if other is not queue or _WILDCARDS.search(key):
            raise _refused(queue, key, 'names no queue' if other is queue else f'names queue {other.name!r} instead')
        name = sqs_name(queue.name, prefix)
        if asked != name:
            aliases[asked] = name
    for queue, _ in found:
        if queue.name not in taken:
            aliases[queue.name] = sqs_name(queue.name, prefix)
    return aliases


def _refused(queue: Queue, key: str, why: str) -> SettingError:
    return SettingError(
        f'broker_transport_options has predefined_queues, and {queue.name!r} has the routing key {key!r}, which {why}: '
        'its messages could not be acknowledged, and each task would run again. Leave out predefined_queues, or give '
        f'{queue.name!r} another routing key.'
    )
