"""The functional tests of an app leave all of this as it was."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

from celery import Celery, _state, signals
from celery.utils.dispatch import Signal
from kombu import Connection, pools
from kombu.transport import SQS, filesystem, memory, virtual

KNOWN_TRANSPORTS = (SQS.Transport, SQS.Channel, memory.Transport, memory.Channel, virtual.Channel, filesystem.Channel)


def app_state(app: Celery) -> dict[str, Any]:
    """All that an app is made of: its own attributes, settings, queues, routers and tasks."""
    tasks = app.tasks
    state = {
        'attributes': dict(vars(app)),
        'of this thread': dict(vars(app._local)),
        'loader': dict(vars(app.loader)),
        'changed settings': dict(app.conf.changes),
        'settings': {name: app.conf[name] for name in app.conf},
        'beat': repr(app.conf.beat_schedule),
        'observers': list(app.conf._observers),
        'tasks': {name: dict(vars(task)) for name, task in tasks.items()},
        'task classes': {name: dict(vars(type(task))) for name, task in tasks.items()},
    }
    if 'amqp' in vars(app):
        state['amqp'] = dict(vars(app.amqp))
    if 'queues' in state.get('amqp', {}):
        state['queues'] = {name: queue.as_dict() for name, queue in app.amqp.queues.items()}
        state['consumed'] = dict(app.amqp.queues.consume_from)
    return state


def process_state() -> dict[str, Any]:
    """Gives what apps of a process share."""
    return {
        'threads': threading.enumerate(),
        'files': sorted(os.listdir('/proc/self/fd')),
        'environment': dict(os.environ),
        'receivers': {name: list(item.receivers) for name, item in vars(signals).items() if isinstance(item, Signal)},
        'current app': (getattr(_state._tls, 'current_app', None), _state.default_app),
        'pools': (dict(pools.connections), dict(pools.producers), pools.get_limit()),
        'memory': (list(memory.Channel.queues), _bindings(memory.Transport.global_state)),
        'filesystem': _bindings(filesystem.Transport.global_state),
        'topic patterns': dict(virtual.exchange.TopicExchange._compiled),
        'transports': [dict(vars(transport)) for transport in KNOWN_TRANSPORTS],
    }


def connections() -> set[int]:
    """The connections of this process that are open."""
    gc.collect()
    return {id(item) for item in gc.get_objects() if type(item) is Connection and item.connected}


def _bindings(state: virtual.base.BrokerState) -> tuple[Any, ...]:
    return dict(state.exchanges), dict(state.bindings), {name: set(keys) for name, keys in state.queue_index.items()}
