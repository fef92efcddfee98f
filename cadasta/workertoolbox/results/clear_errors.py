"""Raise an error at once where the database refuses a worker, and state what its sessions rely on."""

from typing import Any

from ..errors import NotAllowed


def refuse_clearly(engine: Any) -> None:
    """Raise `cadasta.workertoolbox.errors.NotAllowed` where the role of a worker saves a group or forgets a result.

    Celery takes the refusal for an outage and tries again for ever, so the caller would hang. This function lets
    Celery try again only to store a result, which succeeds once somebody has granted the rights. It also gives each
    session of PostgreSQL the settings on which a worker relies, and libpq the timeouts by which it notices a silent
    database.

    :param engine: the engine of a result backend. Celery calls this function as ``database_engine_callback``.

    >>> from celery import Celery
    >>> app = Celery('export', broker='memory://', backend='db+sqlite://')
    >>> app.conf.database_engine_callback = refuse_clearly
    """
    import sqlalchemy

    from ..database.session import settle

    settle(engine)
    sqlalchemy.event.listen(engine, 'handle_error', _on_error)


def _on_error(context: Any) -> None:
    from ..database.faults import blames_role
    from ..database.tables import sequence
    from ..seams.celery_results import result_table

    error, statement = context.original_exception, context.statement or ''
    results = result_table()
    stores_result = results.name in statement or sequence(results).name in statement
    if blames_role(error) and (not stores_result or statement.startswith('DELETE')):
        raise NotAllowed(
            f'{str(error).strip()}. The role of a worker may store the results of tasks, and nothing else. '
            'Where groups have to be saved, or results forgotten, do it in a program that has another role.'
        ) from error
