"""Celery: its database backend, and the tables of that."""

from collections.abc import Mapping
from typing import Any, TypeGuard, cast

import sqlalchemy as sa
from celery.backends.database import DatabaseBackend
from celery.backends.database.models import TaskExtended, TaskSet


def is_database_backend(value: object) -> TypeGuard[type[Any]]:
    """Tell whether a class of result backends stores results in a database.

    It stands for the class ``DatabaseBackend``, which Celery's documentation lists among the internals. The URL of the
    setting ``result_backend`` does not tell: a class may be given instead.

    :param value: a class, or whatever was given for one.
    """
    return isinstance(value, type) and issubclass(value, DatabaseBackend)


def result_table() -> sa.Table:
    """Name the table in which this process stores results.

    It stands for the model ``TaskExtended``. Celery documents its tables nowhere.

    :returns: the table itself. It has the name and schema that the newest backend of this process has given it.
    """
    return cast(sa.Table, TaskExtended.__table__)


def copied_tables(names: Mapping[str, str], schemas: Mapping[str, str]) -> tuple[sa.Table, sa.Table]:
    """Copy the tables in which Celery stores results and saved groups.

    It stands for the models ``TaskExtended`` and ``TaskSet``, and for the name that they have by default: a backend
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
