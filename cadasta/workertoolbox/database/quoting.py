"""Make SQL statements out of text."""

import sqlalchemy as sa


def literal(sql: str) -> sa.TextClause:
    """Make a SQL statement in which no colon begins a parameter.

    >>> literal('SELECT 1::bigint').compile().string
    'SELECT 1::bigint'
    """
    return sa.text(sql.replace(':', '\\:'))
