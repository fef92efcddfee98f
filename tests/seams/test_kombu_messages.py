"""Messages of virtual transports that kombu itself cannot read."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from kombu.transport import get_transport_cls

from cadasta.workertoolbox.seams import kombu_messages


def test_messages_of_other_transports_are_left_alone() -> None:
    channel = SimpleNamespace(Message=object)
    kombu_messages.mend_messages(channel, pytest.fail, pytest.fail)
    assert vars(channel) == {'Message': object}


def test_what_is_not_what_redis_should_have() -> None:
    """kombu reads an item of its own while it decodes it."""
    complaints: list[Exception] = []
    channel = object.__new__(get_transport_cls('redis').Channel)
    for item in (b'no JSON', b'\xff'):
        channel.handlers = {'BRPOP': lambda item=item: json.loads(item.decode())}
        kombu_messages.mend_messages(channel, pytest.fail, complaints.append)
        assert channel.handlers['BRPOP']()
    assert [type(error).__name__ for error in complaints] == ['JSONDecodeError', 'UnicodeDecodeError']
