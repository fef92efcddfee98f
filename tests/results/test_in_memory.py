"""The in-memory broker and SQLite: worker and producer are one process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from cadasta.workertoolbox.database.upgrade import upgrade

from .service import Service


@pytest.mark.parametrize('broker', ['memory'], indirect=True)
def test_copies_run_once(once: Service, tmp_path: Path) -> None:
    url = f'sqlite:///{tmp_path / "results.db"}'
    upgrade(url)
    settings = {'result_backend': f'db+{url}', 'timezone': 'Asia/Tokyo'}
    worker = once.start('-Q', 'once', '-c', '3', '-P', 'threads', lease=3, project='alone', settings=settings)
    once.wait_until(lambda: worker.log.count('is not run: it ended before, as SUCCESS') == 2, 'copies to be dropped')
    assert worker.log.count('is not run: it runs on') >= 2
    assert once.count('begin', 'copy') == 1
    with sa.create_engine(url).connect() as connection:
        assert connection.execute(sa.text('SELECT status, runs FROM celery_taskmeta')).all() == [('SUCCESS', 1)]
        done = connection.execute(sa.text('SELECT date_done FROM celery_taskmeta')).scalar_one()
    assert abs(datetime.fromisoformat(done) - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=5)
