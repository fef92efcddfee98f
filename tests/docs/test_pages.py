"""The pictures of the pages, and the table of what the pages cost, come from a database that is filled."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.pages import rows
from docs.pages import SCHEMES, SIZES, take
from rig.monitor.pages import filled
from rig.servers.browser import Browser

pytestmark = [pytest.mark.slow, pytest.mark.process]

TASKS = 400


def test_pages_are_photographed_and_measured(tmp_path: Path) -> None:
    with filled(TASKS) as pages:
        states = dict(pages.database.execute('SELECT status, count(*) FROM celery_taskmeta GROUP BY status'))
        standings = dict(
            pages.database.execute('SELECT standing, count(*) FROM celery_task_scheduled GROUP BY standing')
        )
        measured = list(rows(pages, 1))
        with closing(Browser()) as browser:
            take(pages, {'now': '/', 'task': pages.paths['task']}, browser, tmp_path)

    assert sum(standings.values()) == TASKS
    assert states.keys() >= {'SUCCESS', 'FAILURE', 'STARTED'}
    assert standings.keys() >= {'lost', 'queued'}
    assert {'page now', 'page task', 'page names-day'} <= {row.what for row in measured}
    assert all(row.ratio > 0 for row in measured)
    taken = {picture.name: picture.read_bytes() for picture in tmp_path.iterdir()}
    assert taken.keys() == {
        f'{title}-{size}-{scheme}.png' for title in ('now', 'task') for size in SIZES for scheme in SCHEMES
    }
    for name, picture in taken.items():
        assert picture[:8] == b'\x89PNG\r\n\x1a\n'
        assert int.from_bytes(picture[16:20]) == SIZES[name.split('-')[1]][0]
    # They are of different colours, if of nothing else.
    assert len(set(taken.values())) == len(taken)
