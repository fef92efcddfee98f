"""Restart RabbitMQ while tasks are published."""

from __future__ import annotations

from ..servers.process import wait_until
from ..servers.rabbitmq import RabbitMQ
from .services import Services

# This is more messages than can be on their way.
MANY = 100


def publish_in_restart(services: Services, server: RabbitMQ) -> None:
    """Restarts the server while a producer goes on publishing, even after errors.

    :param services: the platform, whose broker is on the server
    :param server: the server
    """
    producer = services.start_producer('export', 'until_told')
    wait_until(lambda: services.published().total() > MANY, 'messages before the restart')
    server.stop()
    producer.wait_for('^refused$')
    server.start()
    before = services.published().total()
    wait_until(lambda: services.published().total() > before + MANY, 'messages after the restart')
    producer.send_line('enough')
    assert producer.wait() == 0, producer.log
