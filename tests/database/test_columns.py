"""The reader knows the columns of results by heart, and they are those of Celery."""

from __future__ import annotations

from cadasta.workertoolbox.database.columns import RESULT_COLUMNS
from cadasta.workertoolbox.database.tables import result_tables


def test_columns_of_results_have_the_types_of_celerys_table() -> None:
    results, _ = result_tables({}, {})
    for column in RESULT_COLUMNS:
        assert type(column.type) is type(results.c[column.name].type), column.name
