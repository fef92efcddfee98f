"""A broker that is restarted between two tasks of a producer, or while it sends: nothing is lost."""

from __future__ import annotations

from collections import Counter

import pytest

from rig.servers.broker import Broker
from rig.servers.postgres import Database
from rig.servers.process import Processes
from rig.servers.rabbitmq import RabbitMQ
from rig.workers.restart import publish_in_restart
from rig.workers.services import Services


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_between_two_tasks(broker: Broker, database: Database, processes: Processes, rabbitmq_server: RabbitMQ) -> None:
    services = Services(broker, database, processes)
    producer = services.start_producer('export', 'interrupted')
    producer.wait_for('^half$')
    rabbitmq_server.stop()
    rabbitmq_server.start()
    producer.send_line('go')
    assert producer.wait() == 0, producer.log
    assert sorted(message.key for message in broker.drain('export')) == sorted(services.published())
    assert services.copies() == services.published()
    assert services.published().total() == 200


@pytest.mark.parametrize('broker', ['amqp'], indirect=True)
def test_while_tasks_are_published(
    broker: Broker,
    database: Database,
    processes: Processes,
    rabbitmq_server: RabbitMQ,
) -> None:
    services = Services(broker, database, processes)
    publish_in_restart(services, rabbitmq_server)
    # Tasks that were refused, or sent again because the answer did not come, may be there as well.
    assert services.published() <= Counter(message.key for message in broker.drain('export'))
    assert services.published() <= services.copies()
