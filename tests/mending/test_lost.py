"""`toolbox lost`: what it proves, on each broker."""

from __future__ import annotations

import pytest

from .platform import Platform


@pytest.mark.parametrize('broker', ['redis', 'amqp', 'sqs', 'filesystem'], indirect=True)
def test_a_purged_queue(platform: Platform) -> None:
    ids = {platform.service.send('plain') for _ in range(3)}
    platform.track()
    assert platform.suspects() == {}
    platform.later()
    # The messages wait for a worker.
    assert platform.lost() == set()
    assert platform.suspects().keys() == ids
    platform.purge('once')
    assert platform.lost() == ids
    assert platform.resend('--lost').stderr == '3 would be sent: repeat the command with --yes\n'
    assert platform.broker.count('once') == 0
    sent = platform.resend('--lost', '--yes')
    assert {line.partition('\t')[0] for line in sent.stdout.splitlines()} == ids
    assert platform.broker.count('once') == 3
    platform.track()
    assert platform.lost() == set()
    platform.service.start('-Q', 'once', '-c', '1')
    for task_id in ids:
        platform.service.wait_for_state(task_id, 'SUCCESS')
        assert platform.service.count('begin', task_id) == 1
    assert platform.suspects() == {}
