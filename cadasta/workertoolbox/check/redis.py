"""Redis: it tells where it deletes messages, or is a cluster that refuses keys, and refuses a trial if it is full."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import redis

from ..seams.redis import client_of
from .binding_table import BindingTable

_EVICTS = 'allkeys'
_KEEP = (
    'Let it refuse what it has no room for, so that delay() raises an error: maxmemory-policy noeviction. Where Redis '
    'is a cache, too, use another server for messages.'
)
_ROOM = (
    'Raise maxmemory, or remove what else it keeps. Workers and monitors that are at work go on, which frees memory. '
    'Those that start wait, and delay() raises an error.'
)
_ONE_NODE = (
    'Give all keys a common part in braces, so that one node has them all: broker_transport_options='
    "{'global_keyprefix': '{tasks}.'}. Name that node in broker_url: kombu does not ask the others."
)
# A cluster places a key by what is between the first brace and the one that closes it.
_COMMON_PART = re.compile(r'[^{]*\{[^}]+\}')
_PRIMARY = 'Connect to the primary: by an address that moves with it, or by Sentinel.'
_MEND = 'Mend what the error names. Until then, delay() raises an error.'


class Redis(BindingTable):
    """Looks at what Redis does with messages, and for queues that have no binding.

    :param channel: a channel of the transport.
    """

    def __init__(self, channel: Any) -> None:
        super().__init__(channel)
        self._client = client_of(channel)
        self._prefix = channel.global_keyprefix

    def obstacles(self) -> Iterator[tuple[str, str]]:
        # The user may lack the right to ask.
        with suppress(redis.exceptions.NoPermissionError):
            memory = self._client.info('memory')
            policy = str(memory['maxmemory_policy'])
            if memory['maxmemory'] and policy.startswith(_EVICTS):
                yield f'it deletes messages when its memory is full: maxmemory-policy is {policy}', _KEEP
            if self._client.info('cluster').get('cluster_enabled') and not _COMMON_PART.match(self._prefix):
                yield 'it is a cluster, and refuses commands on keys that may be on several nodes', _ONE_NODE
        try:
            # It adds something to a list that is there. There is no list of this name.
            self._client.lpushx(f'{self._prefix}{uuid4()}', '')
        except redis.exceptions.NoPermissionError:
            return
        except redis.ResponseError as error:
            changes = {redis.OutOfMemoryError: _ROOM, redis.ReadOnlyError: _PRIMARY}
            yield f'it takes no messages: {error}', changes.get(type(error), _MEND)
