"""Make SQL statements out of text."""

import sqlalchemy as sa


def literal(sql: str) -> sa.TextClause:
    """Make a SQL statement in which no colon begins a parameter.

    >>> literal('SELECT 1::bigint').compile().string
    'SELECT 1::bigint'
    """
    return sa.text(sql.replace(':', '\\:'))


def quoted(text: str) -> str:
    """Write a text as a constant in SQL.

    >>> print(quoted("O'Brien"))
    'O''Brien'
    """
    return "'" + text.replace("'", "''") + "'"


def oid(name: str) -> str:
    """Write an expression in SQL for the number by which PostgreSQL knows a table, or NULL if there is none.

    :param name: the name of the table in SQL.

    >>> print(oid('"My results"'))
    to_regclass('"My results"')
    """
    return f'to_regclass({quoted(name)})'
