"""A connection to a database is closed again, whatever becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from cadasta.workertoolbox.database.pruning import Pruning
from cadasta.workertoolbox.errors import NotUsable
from rig.monitor.databases import make_tables


@pytest.mark.parametrize('has_tables', [True, False])
def test_no_connection_is_left_open(tmp_path: Path, has_tables: bool) -> None:
    """A page opens one for each request."""
    url = f'sqlite:///{tmp_path}/tasks.db'
    if has_tables:
        make_tables(url)
    pruning = Pruning(url)
    open_connections: set[object] = set()
    sa.event.listen(pruning._engine, 'connect', lambda connection, record: open_connections.add(connection))
    sa.event.listen(pruning._engine, 'close', lambda connection, record: open_connections.discard(connection))
    if has_tables:
        with pruning:
            assert open_connections
    else:
        with pytest.raises(NotUsable, match='has no view'):
            pruning.__enter__()
    assert not open_connections
