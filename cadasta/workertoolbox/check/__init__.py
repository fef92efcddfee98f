"""Check that an app keeps the rules, and that the broker, the monitor and the result database are fit for it.

The check changes nothing: it creates no queue, sends no message to one, takes none, and writes no row.
"""

from collections.abc import Collection, Iterator

from celery import Celery

from ..architecture import PLATFORM_QUEUE
from .conformance import check_rules
from .finding import Finding, Problem

__all__ = ['Finding', 'Problem', 'check']


def check(
    app: Celery,
    is_worker: bool = True,
    offline: bool = False,
    any_role: bool = False,
    database: str | None = None,
    platform_queue: str = PLATFORM_QUEUE,
    called_with_queue: Collection[str] = (),
) -> Iterator[Finding]:
    """Check an app and, unless `offline` is set, its broker and its databases.

    :param app: the app.
    :param is_worker: whether workers are started from its codebase.
    :param offline: whether to check the app alone, without a connection.
    :param any_role: whether the app's role in the result database may do more than it must.
    :param database: the URL of the database with the Task table.
    :param platform_queue: the name of the platform queue, if the organisation has renamed it everywhere.
    :param called_with_queue: patterns of the names of tasks whose every call names a queue.
    :returns: the findings, one by one, as the check makes them.

    >>> from cadasta.workertoolbox.conf import Config
    >>> app = Celery('export')
    >>> app.config_from_object(Config(QUEUES=['export'], broker_url='memory://'))
    >>> @app.task(name='export.project')
    ... def project(id): ...
    >>> {finding.state for finding in check(app, offline=True)} == {'passed', 'skipped'}
    True
    """
    yield from check_rules(app, is_worker, platform_queue, called_with_queue)
    if not offline:
        # Only a check of connections needs the libraries that these modules import.
        from .broker import check_broker
        from .databases import check_results, check_tasks

        yield from check_broker(app, platform_queue)
        yield from check_tasks(app, database)
        yield from check_results(app, is_worker, any_role)
