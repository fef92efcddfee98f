"""SQL that is written down as text."""

import sqlalchemy as sa


def literal(sql: str) -> sa.TextClause:
    """Make a statement of SQL in which a colon is a colon, and begins no parameter.

    >>> literal('SELECT 1::bigint').compile().string
    'SELECT 1::bigint'
    """
    return sa.text(sql.replace(':', '\\:'))
