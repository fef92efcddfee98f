"""The table of the outbox in PostgreSQL: its rows know their transaction, and wake a relay that sleeps."""

from collections.abc import Iterator

from ..seams.sqlalchemy_quoting import QUOTE
from .quoting import literal, oid, quoted
from .steps import Step, columns_step, table_step
from .tables import outbox

#: A relay that sleeps listens to this channel.
CHANNEL = 'celery_outbox'
#: A relay that sleeps has this advisory lock, and those who write share it otherwise.
SLEEP = 0x63_65_6C_65_72_79_6F_62

_NAME = QUOTE.format_table(outbox)
_FUNCTION = 'celery_outbox_wake'
# A notification lets transactions commit one after the other. So those who write spare it where no relay sleeps, and
# no relay goes to sleep before their transactions have ended.
_STATEMENTS = (
    f'ALTER TABLE {_NAME} ALTER COLUMN transaction_id SET DEFAULT txid_current()',
    f"""CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NOT pg_catalog.pg_try_advisory_xact_lock_shared({SLEEP}) THEN
        NOTIFY {CHANNEL};
    END IF;
    RETURN NULL;
END $$""",
    f'DROP TRIGGER IF EXISTS {_FUNCTION} ON {_NAME}',
    f'CREATE TRIGGER {_FUNCTION} AFTER INSERT ON {_NAME} FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()',
)
_IS_THERE = f'EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {oid(_NAME)} AND tgname = {quoted(_FUNCTION)})'


def outbox_steps(with_indexes: bool) -> Iterator[Step]:
    """Give the steps that make the table.

    :param with_indexes: see `table_step`.
    """
    yield table_step(outbox, with_indexes)
    yield columns_step(outbox)
    yield Step(tuple(map(literal, _STATEMENTS)), _IS_THERE, _NAME)
