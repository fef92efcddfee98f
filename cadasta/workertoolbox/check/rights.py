"""Compare the rights of a role in a PostgreSQL database with those that it needs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..database import roles
from ..database.quoting import literal, oid
from .finding import Problem

# Selects the privileges that were granted to the role, to the roles that it is a member of, and to PUBLIC. The query
# reads the access control lists, because they also name the grantee from whom a privilege must be revoked. It leaves
# out the tables and sequences of extensions. A column is NULL where a privilege is on the whole object.
_GRANTS = sa.text("""
WITH relations AS (
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid, c.oid::regclass::text AS name,
           relowner AS owner,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl
    FROM pg_class c
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), objects AS (
    SELECT kind, oid, name, NULL AS "column", owner, acl FROM relations
    UNION ALL
    SELECT kind, oid, name, quote_ident(attname), owner, attacl
    FROM relations JOIN pg_attribute ON attrelid = oid WHERE attacl IS NOT NULL AND NOT attisdropped
    UNION ALL
    SELECT 'SCHEMA', oid, oid::regnamespace::text, NULL, nspowner, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'
    UNION ALL
    SELECT 'DATABASE', oid, quote_ident(datname), NULL, datdba, coalesce(datacl, acldefault('d', datdba))
    FROM pg_database WHERE datname = current_database()
)
SELECT kind, oid, name, "column", privilege_type AS privilege, grantee = owner AS owned,
       grantee = 0 OR pg_has_role(grantee, 'USAGE') AS in_force,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
FROM objects, aclexplode(acl)
WHERE (kind NOT IN ('SCHEMA', 'DATABASE') OR privilege_type = 'CREATE')
  AND (grantee = 0 OR pg_has_role(grantee, 'MEMBER'))
ORDER BY kind DESC, name, grantee, privilege, "column"
""")

_ATTRIBUTES = sa.text("""
SELECT quote_ident(current_user) AS role, rolsuper, array_remove(ARRAY[
    CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
    CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes,
    ARRAY(SELECT oid::regrole::text FROM pg_roles
          WHERE (rolname ~ '^pg_' AND rolname <> 'pg_database_owner' OR rolsuper) AND rolname <> current_user
          AND pg_has_role(oid, 'MEMBER')) AS memberships
FROM pg_roles WHERE rolname = current_user
""")

#: Gives a role what a worker needs, and takes what version 1.0 gave it beyond that.
NARROW = 'celery -A PROJECT toolbox tables --worker-role {}'
_OWN_ROLE = (
    'Give the app a role of its own, made by: celery -A PROJECT toolbox tables --worker-role NAME. Or check with '
    "--any-role if this is a developer's own database."
)


class Right(NamedTuple):
    """A privilege on a table or sequence, by its object identifier in the database, or on a column of a table."""

    kind: str
    oid: int
    privilege: str
    column: str | None = None

    @property
    def on_all_columns(self) -> 'Right':
        """The privilege on the whole table, which includes this one."""
        return Right(self.kind, self.oid, self.privilege)


def needed(connection: sa.Connection, rights: Iterable[roles.Rights]) -> dict[Right, str]:
    """List the rights that a role needs on the tables and sequences that exist.

    :param connection: a connection to PostgreSQL.
    :param rights: what `cadasta.workertoolbox.database.roles` gives to such a role.
    :returns: the rights, each with the name of its table or sequence in SQL.
    """
    return {
        Right(kind, number, privilege, column): name
        for kind, name, privileges, columns, _ in rights
        if kind != 'SCHEMA'
        for number in connection.scalars(literal(f'SELECT {oid(name)}::oid WHERE {oid(name)} IS NOT NULL'))
        for privilege in privileges
        for column in columns or (None,)
    }


class Rights:
    """The rights of the role of a connection.

    :param connection: a connection to PostgreSQL.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._grants = connection.execute(_GRANTS).all()
        self._attributes = connection.execute(_ATTRIBUTES).one()
        self.role = self._attributes.role

    def missing(self, needed: Mapping[Right, str]) -> Iterator[Problem]:
        """Find the rights that the role needs and does not have.

        :param needed: the rights that it needs, each with the name of its table or sequence in SQL.
        :returns: a problem for each missing right.
        """
        if self._attributes.rolsuper:
            return
        granted = {_right(grant) for grant in self._grants if grant.in_force}
        missing: dict[Any, list[str]] = defaultdict(list)
        for right, name in needed.items():
            if granted.isdisjoint((right, right.on_all_columns)):
                missing[right.kind, name, right.privilege] += [right.column] if right.column else []
        for (kind, name, privilege), columns in missing.items():
            what = privilege + (f' ({", ".join(columns)})' if columns else '')
            yield Problem(
                f'role {self.role}', f'it may not {what} on {name}', f'GRANT {what} ON {kind} {name} TO {self.role}'
            )

    def excess(self, needed: Mapping[Right, str]) -> Iterator[Problem]:
        """Find the rights that the role has and does not need.

        :param needed: the rights that it needs.
        :returns: a problem for each attribute, membership or object.
        """
        where = f'role {self.role}'
        if self._attributes.rolsuper:
            # A superuser has all rights, so the check of single rights tells nothing more.
            yield Problem(where, 'it is a superuser and may do anything', _OWN_ROLE)
            return
        for attribute in self._attributes.attributes:
            yield Problem(where, f'it has {attribute}', f'ALTER ROLE {self.role} NO{attribute}')
        for membership in self._attributes.memberships:
            yield Problem(where, f'it is a member of {membership}', f'REVOKE {membership} FROM {self.role}')
        superfluous: dict[Any, list[str]] = defaultdict(list)
        narrower = {right.on_all_columns for right in needed if right.column}
        for grant in self._grants:
            right = _right(grant)
            if right in narrower and grant.grantee == self.role and not grant.owned:
                # To revoke it would take the rights on columns away, too.
                yield Problem(
                    where,
                    f'it may {grant.privilege} on table {grant.name}, so it may lock it, and change the rows of others',
                    NARROW.format(self.role),
                )
            elif grant.owned or right not in needed:
                what = grant.privilege + (f' ({grant.column})' if grant.column else '')
                superfluous[grant.kind, grant.name, grant.grantee, grant.owned].append(what)
        for (kind, name, grantee, owned), privileges in superfluous.items():
            if owned:
                yield Problem(where, f'it owns {kind.lower()} {name}', f'ALTER {kind} {name} OWNER TO another role')
            else:
                what = ', '.join(privileges)
                yield Problem(
                    where, f'it may {what} on {kind.lower()} {name}', f'REVOKE {what} ON {kind} {name} FROM {grantee}'
                )


def _right(grant: Any) -> Right:
    return Right(grant.kind, grant.oid, grant.privilege, grant.column)
