"""Prints into which queues messages were put, in this order: `python order.py SETTINGS...`, each in JSON.

The hash seed of the process decides the order in which kombu itself would do it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from celery import Celery
from kombu import Exchange, Producer, Queue
from kombu.transport import get_transport_cls

from cadasta.workertoolbox.conf import Config


def recorded(channel: Any) -> list[str]:
    """The names of the queues that channels of this class put messages into from now on."""
    names: list[str] = []
    put = channel._put

    def note(self: Any, queue: str, *args: Any, **kwargs: Any) -> None:
        names.append(queue)
        put(self, queue, *args, **kwargs)

    channel._put = note
    return names


def send(settings: dict[str, Any]) -> None:
    plain = Celery('plain', set_as_current=False)
    plain.conf.update({key: value for key, value in settings.items() if key.startswith('broker')})
    ours = Celery('ours', set_as_current=False)
    ours.config_from_object(Config(QUEUES=['export', 'msg'], result_backend='db+sqlite://', **settings))
    # An app with the same URL shares its connections with ours.
    plain.send_task('export.project', queue=Queue('plain', Exchange('plain_exchange', 'topic'), routing_key='plain'))
    ours.send_task('export.project')
    with ours.connection_for_write() as connection:
        ours.send_task('export.project', connection=connection)
        # The connection has declared everything, but the channel is new to it.
        ours.send_task('msg.send', producer=Producer(connection))
        ours.send_task('export.project', producer=Producer(connection.channel()))


if __name__ == '__main__':
    for argument in sys.argv[1:]:
        settings = json.loads(argument)
        names = recorded(get_transport_cls(settings['broker_url'].partition('://')[0]).Channel)
        send(settings)
        print(*names)
