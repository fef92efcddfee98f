"""How PostgreSQL writes names."""

from __future__ import annotations

import sqlalchemy as sa

from cadasta.workertoolbox.database.quoting import literal
from cadasta.workertoolbox.seams.sqlalchemy_quoting import POSTGRESQL, QUOTE
from rig.servers.postgres import Database

NAME = 'a "name": 100% ours'


def test_names_are_quoted_where_they_have_to_be() -> None:
    assert QUOTE.quote('results') == 'results'
    assert QUOTE.quote('order') == '"order"'
    assert QUOTE.quote(NAME) == '"a ""name"": 100% ours"'


def test_percent_signs_are_not_doubled() -> None:
    assert str(sa.text("SELECT '100%'").compile(dialect=POSTGRESQL)) == "SELECT '100%'"


def test_a_server_takes_a_quoted_name(database: Database) -> None:
    table = sa.Table(NAME, sa.MetaData(), sa.Column('id'), schema='public')
    sequence = sa.Sequence(f'{NAME} too', schema='public')
    database.execute(f'CREATE TABLE {QUOTE.format_table(table)} (id integer)')
    database.execute(f'CREATE SEQUENCE {QUOTE.format_sequence(sequence)}')
    assert (NAME,) in database.execute('SELECT tablename FROM pg_tables')
    assert (f'{NAME} too',) in database.execute('SELECT sequencename FROM pg_sequences')


def test_sqlite_takes_a_quoted_name() -> None:
    table = sa.Table(NAME, sa.MetaData(), sa.Column('id'))
    with sa.create_engine('sqlite://').connect() as connection:
        connection.execute(literal(f'CREATE TABLE {QUOTE.format_table(table)} (id integer)'))
        assert sa.inspect(connection).get_table_names() == [NAME]
