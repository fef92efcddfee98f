"""What the role of a worker may not do in the result database is an error there and then."""

from typing import Any

from ..errors import NotAllowed


def refuse_clearly(engine: Any) -> None:
    """Raise `cadasta.workertoolbox.errors.NotAllowed` where the database refuses what is not the storing of a result.

    Celery repeats what the database refuses, in the belief that it is away: saving a group or forgetting a result
    would hang. A result is worth to be repeated, until the role has the rights to store it.

    :param engine: the engine of a result backend; the function for ``database_engine_callback``.

    >>> from celery import Celery
    >>> app = Celery('export', broker='memory://', backend='db+sqlite://')
    >>> app.conf.database_engine_callback = refuse_clearly
    """
    import sqlalchemy

    sqlalchemy.event.listen(engine, 'handle_error', _on_error)


def _on_error(context: Any) -> None:
    from celery.backends.database.models import Task

    from ..database.refusals import blames_role

    error, statement = context.original_exception, context.statement or ''
    stores_result = Task.__table__.name in statement or Task.__table__.c.id.default.name in statement
    if blames_role(error) and (not stores_result or statement.startswith('DELETE')):
        raise NotAllowed(
            f'{str(error).strip()}. The role of a worker may store the results of tasks, and nothing else. '
            'Where groups have to be saved, or results forgotten, do it in a program that has another role.'
        ) from error
