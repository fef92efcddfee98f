"""Celery: the database backend and its tables."""

from collections.abc import Mapping
from typing import Any, TypeGuard, cast

import sqlalchemy as sa
from celery.backends.database import DatabaseBackend
from celery.backends.database.models import TaskExtended, TaskSet


def is_database_backend(value: object) -> TypeGuard[type[Any]]:
    """Tell whether a class of result backends stores results in a database.

    It uses the class ``DatabaseBackend``, which Celery's documentation lists among the internals. The
    setting ``result_backend`` does not tell, because it may be a class instead of a URL.

    :param value: a class, or any other value that an app gives for one.
    """
    return isinstance(value, type) and issubclass(value, DatabaseBackend)


def result_table() -> sa.Table:
    """Return the table in which this process stores results.

    It uses the model ``TaskExtended``. Celery does not document its tables.

    :returns: the table itself, not a copy. The newest backend of this process has set its name and schema.
    """
    return cast(sa.Table, TaskExtended.__table__)


def copied_tables(names: Mapping[str, str], schemas: Mapping[str, str]) -> tuple[sa.Table, sa.Table]:
    """Copy the tables in which Celery stores results and saved groups.

    It uses the models ``TaskExtended`` and ``TaskSet``, and the default names in them, because a backend
    renames the tables of the whole process.

    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    :returns: the tables of results and of saved groups.
    """
    copies = sa.MetaData()
    results, groups = (
        model.__table__.to_metadata(copies, schema=schemas.get(key), name=names.get(key) or model.__tablename__)
        for key, model in (('task', TaskExtended), ('group', TaskSet))
    )
    return results, groups
