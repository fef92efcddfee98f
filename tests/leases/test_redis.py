from __future__ import annotations

import pytest

from cadasta.workertoolbox.leases import redis
from cadasta.workertoolbox.leases.redis import RedisLeases

from .conftest import Holder

pytestmark = pytest.mark.parametrize('broker', ['redis'], indirect=True)


def times(holder: Holder) -> dict[str, float]:
    """When each message was delivered, or its lease was renewed."""
    with holder.channel.conn_or_acquire() as client:
        return {tag.decode(): time for tag, time in client.zrange('unacked_index', 0, -1, withscores=True)}


def age(holder: Holder) -> None:
    with holder.channel.conn_or_acquire() as client:
        client.zadd('unacked_index', dict.fromkeys(times(holder), 1.0))


def test_all_that_is_held_is_renewed(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, 'BATCH', 2)
    tags = holder.hold(5)
    age(holder)
    leases = RedisLeases(holder.channel, [])
    assert leases.seconds() == 300
    leases.renew()
    assert set(times(holder)) == set(tags)
    assert min(times(holder).values()) > 1


def test_what_was_acknowledged_meanwhile_stays_away(holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged, kept = holder.hold(2)
    snapshot = redis.held(holder.channel)
    monkeypatch.setattr(redis, 'held', lambda channel: snapshot)
    holder.channel.basic_ack(acknowledged)
    RedisLeases(holder.channel, []).renew()
    assert set(times(holder)) == {kept}
