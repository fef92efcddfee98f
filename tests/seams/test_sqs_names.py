"""The names of queues in Amazon SQS, as kombu's own transport makes them."""

from __future__ import annotations

import string

import pytest
from kombu.transport.SQS import Channel

from cadasta.workertoolbox.seams.sqs_names import sqs_name


@pytest.mark.parametrize('queue', ['export', 'a.b', 'a.b.fifo', 'platform.fifo', 'fifo', 'ä', f'x{string.punctuation}'])
@pytest.mark.parametrize('prefix', ['dev-', 'a.b', ''])
def test_they_are_kombus(queue: str, prefix: str) -> None:
    assert sqs_name(queue, prefix) == Channel.entity_name(object.__new__(Channel), f'{prefix}{queue}')
