"""What the role of a worker may not do in the result database is an error there and then."""

from typing import Any

from .errors import NotAllowed
from .timeouts import missing_timeouts

_LIBPQ_DRIVERS = ('psycopg2', 'psycopg')


def refuse_clearly(engine: Any) -> None:
    """Raise `cadasta.workertoolbox.errors.NotAllowed` where the database refuses what is not the storing of a result.

    Celery repeats what the database refuses, in the belief that it is away: saving a group or forgetting a result
    would hang. A result is worth to be repeated, until the role has the rights to store it. And a database that is
    silent is noticed.

    :param engine: the engine of a result backend; the function for ``database_engine_callback``.

    >>> from celery import Celery
    >>> app = Celery('export', broker='memory://', backend='db+sqlite://')
    >>> app.conf.database_engine_callback = refuse_clearly
    """
    import sqlalchemy

    # The options of one driver would be an error in another, so they are no setting of the app.
    if engine.dialect.driver in _LIBPQ_DRIVERS:
        sqlalchemy.event.listen(engine, 'do_connect', _bound_silence)
    sqlalchemy.event.listen(engine, 'handle_error', _on_error)


def _bound_silence(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
    parameters.update(missing_timeouts(parameters))


def _on_error(context: Any) -> None:
    from .database.refusals import blames_role
    from .database.tables import sequence
    from .seams.celery_results import result_table

    error, statement = context.original_exception, context.statement or ''
    results = result_table()
    stores_result = results.name in statement or sequence(results).name in statement
    if blames_role(error) and (not stores_result or statement.startswith('DELETE')):
        raise NotAllowed(
            f'{str(error).strip()}. The role of a worker may store the results of tasks, and nothing else. '
            'Where groups have to be saved, or results forgotten, do it in a program that has another role.'
        ) from error
