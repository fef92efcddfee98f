"""A connection breaks while the queues of a message are declared: the message is sent again."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from cadasta.workertoolbox.conf import Config
from rig.servers.broker import PLATFORM_QUEUE, Broker


@pytest.mark.parametrize('broker', ['redis', 'sqs'], indirect=True)
def test_a_connection_that_breaks(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery('export', set_as_current=False)
    app.config_from_object(Config(QUEUES=['export'], result_backend='db+sqlite://', **broker.settings))
    with app.connection_for_write() as connection:
        channel = type(connection.default_channel)
    declare, cuts = channel.queue_declare, [ConnectionResetError('cut')]

    def cut_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        if cuts:
            raise cuts.pop()
        return declare(self, *args, **kwargs)

    monkeypatch.setattr(channel, 'queue_declare', cut_once)
    sent = app.send_task('export.project').id
    app.pool.force_close_all()
    assert not cuts
    for queue in ('export', PLATFORM_QUEUE):
        assert [message.headers['id'] for message in broker.drain(queue)] == [sent]
