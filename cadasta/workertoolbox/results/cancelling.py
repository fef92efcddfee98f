"""Cancel tasks by their rows: a worker neither starts what is ``REVOKED``, nor goes on with it."""

import json
from collections.abc import Iterable, Mapping

from ..database.connection import Connected
from ..database.faults import refusing
from ..database.tables import result_tables
from .claim import DONE, insert_parts, text

_CANCEL = """
INSERT INTO {table} AS stored ({id}task_id, status, result, date_done, role)
VALUES ({next_id}:task_id, 'REVOKED', :result, {done}, NULL)
ON CONFLICT (task_id) DO UPDATE SET
    status = 'REVOKED', result = excluded.result, date_done = excluded.date_done, traceback = NULL, lease = NULL
WHERE stored.status NOT IN {ended}
RETURNING task_id"""

_RESULT = json.dumps(
    {'exc_type': 'TaskRevokedError', 'exc_message': ['cancelled'], 'exc_module': 'celery.exceptions'}
).encode()


class Cancelling(Connected):
    """A connection to the database by which tasks are cancelled, as a context manager.

    :param url: the database's URL, with a role that may store results, and change those of the tasks' own roles.
    :param names: the app's ``database_table_names``.
    :param schemas: the app's ``database_table_schemas``.
    """

    def __init__(
        self, url: str, names: Mapping[str, str] | None = None, schemas: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(url)
        table, _ = result_tables(names or {}, schemas or {})
        dialect = self._engine.dialect
        self._cancel = text(_CANCEL, {**insert_parts(table, dialect), 'done': DONE[dialect.name]})

    def _prepare(self) -> None:
        self._connection.execution_options(isolation_level='AUTOCOMMIT')

    def cancel(self, task_ids: Iterable[str]) -> set[str]:
        """Store that tasks are revoked, unless they have ended.

        :param task_ids: their ids; a task that nobody has stored yet may be among them.
        :returns: the ids of those that had not ended.
        :raises NotUsable: where the role may not change the row of a task.
        """
        values = {'result': _RESULT, 'age': 0}
        with refusing(' to cancel a task'):
            return {
                row.task_id
                for task_id in sorted(set(task_ids))
                for row in self._connection.execute(self._cancel, {**values, 'task_id': task_id})
            }
