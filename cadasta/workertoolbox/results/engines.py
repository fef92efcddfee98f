"""One engine for a process: its connections outlive the backends that Celery makes for each thread and greenlet."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

# A child that was forked has its parent's engines, and must not touch their connections.
_engines: dict[tuple[int, str], sa.Engine] = {}


def engine(url: str, options: Mapping[str, Any], prepare: Callable[[sa.Engine], Any] | None) -> sa.Engine:
    """Give the engine of this process for a database. A statement is a transaction.

    :param url: the database's URL.
    :param options: the options of a new engine.
    :param prepare: what is called with a new engine; Celery's ``database_engine_callback``.
    """
    key = os.getpid(), url
    if key not in _engines:
        # A statement that finds its connection broken is repeated, which costs less than asking before each.
        made = sa.create_engine(url, **{**options, 'pool_pre_ping': False, 'isolation_level': 'AUTOCOMMIT'})
        if prepare is not None:
            prepare(made)
        _engines[key] = made
    return _engines[key]
