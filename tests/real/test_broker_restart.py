"""A broker that is restarted between two tasks of a producer: nothing is lost."""
from __future__ import annotations

import pytest

from ..servers.broker import Broker
from ..servers.postgres import Database
from ..servers.process import Processes
from ..servers.rabbitmq import RabbitMQ
from .services import Services


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_rabbitmq(broker: Broker, database: Database, processes: Processes, rabbitmq_server: RabbitMQ) -> None:
    services = Services(broker, database, processes)
    producer = services.start_producer('export', 'interrupted')
    producer.wait_for('^half$')
    rabbitmq_server.stop()
    rabbitmq_server.start()
    rabbitmq_server.wait_until_ready()
    producer.send_line('go')
    assert producer.wait() == 0, producer.log
    assert sorted(message.key for message in broker.drain('export')) == sorted(services.published())
    assert services.copies() == services.published()
    assert services.published().total() == 200
