"""What a role may do in a PostgreSQL database: as much as the worker's must, and no more."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from .finding import Problem

# What was granted to the role, to those whose member it is, and to everybody: by the access control lists, which also
# tell what to revoke from whom. What an extension has brought along is its own affair.
_GRANTS = sa.text("""
WITH objects AS (
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid, c.oid::regclass::text AS name,
           relowner AS owner,
           coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl
    FROM pg_class c
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'SCHEMA', oid, oid::regnamespace::text, nspowner, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'
    UNION ALL
    SELECT 'DATABASE', oid, quote_ident(datname), datdba, coalesce(datacl, acldefault('d', datdba))
    FROM pg_database WHERE datname = current_database()
)
SELECT kind, oid, name, privilege_type AS privilege, grantee = owner AS owned,
       grantee = 0 OR pg_has_role(grantee, 'USAGE') AS in_force,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
FROM objects, aclexplode(acl)
WHERE (kind NOT IN ('SCHEMA', 'DATABASE') OR privilege_type = 'CREATE')
  AND (grantee = 0 OR pg_has_role(grantee, 'MEMBER'))
ORDER BY kind DESC, name, grantee, privilege
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

_OWN_ROLE = (
    'Give the app a role of its own, made by: celery -A PROJECT toolbox tables --worker-role NAME. Or check with '
    "--any-role if this is a developer's own database."
)


class Right(NamedTuple):
    """A privilege on a table or sequence, by its object identifier in the database."""

    kind: str
    oid: int
    privilege: str


class Rights:
    """What the role of a connection may do.

    :param connection: a connection to PostgreSQL.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._grants = connection.execute(_GRANTS).all()
        self._attributes = connection.execute(_ATTRIBUTES).one()
        self.role = self._attributes.role

    def missing(self, needed: Mapping[Right, str]) -> Iterator[Problem]:
        """Find what the role must be able to do, and may not.

        :param needed: the rights, each with the name of its table or sequence in SQL.
        :returns: a problem for each.
        """
        if self._attributes.rolsuper:
            return
        granted = {Right(grant.kind, grant.oid, grant.privilege) for grant in self._grants if grant.in_force}
        for right, name in needed.items():
            if right not in granted:
                yield Problem(
                    f'role {self.role}',
                    f'it may not {right.privilege} on {name}',
                    f'GRANT {right.privilege} ON {right.kind} {name} TO {self.role}',
                )

    def excess(self, needed: Mapping[Right, str]) -> Iterator[Problem]:
        """Find what the role may do beyond what it must.

        :param needed: the rights that it must have.
        :returns: a problem for each object.
        """
        where = f'role {self.role}'
        if self._attributes.rolsuper:
            # Nothing else matters then.
            yield Problem(where, 'it is a superuser and may do anything', _OWN_ROLE)
            return
        for attribute in self._attributes.attributes:
            yield Problem(where, f'it has {attribute}', f'ALTER ROLE {self.role} NO{attribute}')
        for membership in self._attributes.memberships:
            yield Problem(where, f'it is a member of {membership}', f'REVOKE {membership} FROM {self.role}')
        superfluous: dict[Any, list[str]] = defaultdict(list)
        for grant in self._grants:
            if grant.owned or Right(grant.kind, grant.oid, grant.privilege) not in needed:
                superfluous[grant.kind, grant.name, grant.grantee, grant.owned].append(grant.privilege)
        for (kind, name, grantee, owned), privileges in superfluous.items():
            if owned:
                yield Problem(where, f'it owns {kind.lower()} {name}', f'ALTER {kind} {name} OWNER TO another role')
            else:
                what = ', '.join(privileges)
                yield Problem(
                    where, f'it may {what} on {kind.lower()} {name}', f'REVOKE {what} ON {kind} {name} FROM {grantee}'
                )
