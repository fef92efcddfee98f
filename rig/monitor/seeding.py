"""Fills a database of PostgreSQL with as many tasks of a day as somebody wants, by statements of its own.

Tasks come in workflows of eight, in waves. Each three hundredth task is of a kind that few are: it runs, it is lost, it
waits for its `eta`, or nobody has started it.
"""

from __future__ import annotations

import sqlalchemy as sa

from cadasta.workertoolbox.monitor import upgrade

#: The tasks of a workflow.
WORKFLOW = 8
#: So many of the newest tasks have arguments of two megabytes.
LARGE = 60

# Names by how frequent they are. The queue of each is the part before the dot.
NAMES = (
    *('export.layer', 'survey.answer', 'map.tile', 'map.tile', 'map.tile', 'msg.send', 'survey.answer', 'index.parcel'),
    *('export.project', 'survey.import', 'msg.digest', 'index.owner', 'map.style', 'photo.shrink', 'photo.rotate'),
    *(
        'report.monthly',
        'report.totals',
        'backup.bucket',
        'backup.database',
        'audit.note',
        'audit.sign',
        'geo.simplify',
    ),
    *('geo.buffer', 'geo.intersect', 'billing.invoice', 'billing.remind', 'user.welcome', 'user.forget'),
)
_ERRORS = (
    ('ConnectionError', 'builtins', '10.0.7.{n}:5432 refused the connection'),
    ('KeyError', 'builtins', 'parcel {n}'),
    ('TimeLimitExceeded', 'billiard.exceptions', '{n}'),
    ('WorkerLostError', 'billiard.exceptions', 'Worker exited prematurely: signal 9 (SIGKILL) Job: {n}.'),
    ('ValueError', 'builtins', 'the ring of polygon {n} is not closed'),
)
_TRACEBACK = """Traceback (most recent call last):
  File "/srv/worker/celery/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
  File "/srv/worker/tasks.py", line 71, in run
    return self.store(self.shape(feature) for feature in features)
  File "/srv/worker/shapes.py", line 19, in shape
    return close(rings[feature])
"""

# The number of a task says all that is to know of it. Its id begins with a part that does not follow its number.
_NUMBERED = """
CREATE TEMPORARY TABLE seeded AS
SELECT
    n,
    step,
    hash,
    (CASE WHEN step IN (1, 2, 3) THEN ARRAY['map.tile', 'export.layer', 'survey.answer'] ELSE CAST(:names AS text[])
        END)[1 + hash % CASE WHEN step IN (1, 2, 3) THEN 3 ELSE cardinality(CAST(:names AS text[])) END] AS name,
    seeded_id(n) AS task_id,
    seeded_id(n - step) AS root_id,
    CASE WHEN step > 0 THEN seeded_id(n - step + (ARRAY[0, 0, 0, 1, 1, 3, 6])[step]) END AS parent_id,
    now() - interval '1 day' * (1 - (passed + 0.5 * sin(passed * 150) / 150 + 0.3 * sin(passed * 900) / 900)) AS seen,
    interval '1 second' * (0.02 + (hash % 97) ^ 2 / 4000.0) AS waited,
    interval '1 second' * (0.05 + (hash % 89) ^ 3 / 60000.0) AS ran,
    CASE
        -- The last minute is not over.
        WHEN n > :tasks - GREATEST(:tasks / 20000, 3) AND hash % 2 = 0 THEN NULL
        WHEN hash % 1500 = 7 THEN NULL
        WHEN hash % 50000 = 11 OR n = :tasks / 2 THEN 'LOST'
        WHEN n > :tasks - GREATEST(:tasks / 2000, 3) AND hash % 6 = 0 THEN 'STARTED'
        WHEN hash % 3000 = 13 THEN 'RETRY'
        WHEN hash % 200 = 17 THEN 'REVOKED'
        WHEN hash % 45 = 19 OR n % 4096 = 6 THEN 'FAILURE'
        ELSE 'SUCCESS'
    END AS status
FROM (
    SELECT n, CAST(n % :workflow AS integer) AS step, n / CAST(:tasks AS float) AS passed,
        abs(hashint8(n)) % 1000000007 AS hash
    FROM generate_series(CAST(1 AS bigint), :tasks) n
) numbers
"""

_TASKS = """
INSERT INTO celery_task (
    task_id, name, args, kwargs, root_id, parent_id, group_id, routing_key, eta, retries, timelimit, origin, options,
    first_seen, last_seen, sent, body
)
SELECT
    task_id, name, jsonb_build_array('kibera', hash % 5000),
    CASE
        WHEN n > :tasks - :large AND n % 2 = 0
        THEN jsonb_build_object('shape', repeat('POLYGON ((36.79 -1.31)) ', 90000))
        ELSE jsonb_build_object('customer', hash % 700, 'format', 'gpkg')
    END,
    root_id, parent_id, CASE WHEN step IN (1, 2, 3) THEN 'group-' || root_id END, split_part(name, '.', 1),
    CASE WHEN status IS NULL AND hash % 3 = 0 THEN seen + interval '1 day' END,
    CASE WHEN status = 'RETRY' THEN 2 ELSE 0 END, '[null, null]', 'gen' || hash % 4 || '@api-' || hash % 3, '{}',
    seen, seen, seen, NULL
FROM seeded ORDER BY n
"""

_RESULTS = """
INSERT INTO celery_taskmeta (
    id, task_id, status, result, date_done, traceback, started, worker, lease, runs, retries, replaced
)
SELECT
    n, task_id, CASE status WHEN 'LOST' THEN 'STARTED' ELSE status END,
    CASE status
        WHEN 'SUCCESS' THEN convert_to('"exports/' || hash || '.zip"', 'UTF8')
        WHEN 'STARTED' THEN '{"pid": 4711, "hostname": "worker"}'::bytea
        WHEN 'LOST' THEN '{"pid": 4711, "hostname": "worker"}'::bytea
        WHEN 'REVOKED' THEN '{"exc_type": "TaskRevokedError", "exc_message": ["terminated"]}'::bytea
        ELSE convert_to(format(
            '{"exc_type": "%s", "exc_message": ["%s"], "exc_module": "%s"}',
            kind[1], replace(kind[3], '{n}', (hash % 250)::text), kind[2]
        ), 'UTF8')
    END,
    CASE WHEN status NOT IN ('STARTED', 'LOST') THEN (seen + waited + ran) AT TIME ZONE 'UTC' END,
    CASE WHEN status IN ('FAILURE', 'RETRY') THEN :traceback || kind[1] || E'\\n' END,
    seen + waited, split_part(name, '.', 1) || '@worker-' || hash % 4, seen + waited + interval '1 minute', 1, 0, 0
FROM (
    SELECT *, string_to_array(
        (CAST(:errors AS text[]))[1 + (hash % 7 + hash % 11) % cardinality(CAST(:errors AS text[]))], '|') AS kind
    FROM seeded WHERE status IS NOT NULL
) results ORDER BY n
"""

_LIVE = (
    # What a worker does each twenty seconds.
    """
    UPDATE celery_taskmeta SET lease = now() + interval '1 hour', started = now() - interval '3 seconds'
    WHERE status = 'STARTED' AND started > now() - interval '10 minutes'
    """,
    'DELETE FROM celery_worker',
    'DELETE FROM celery_monitor',
    """
    INSERT INTO celery_worker (
        boot, name, host, pid, queues, pool, concurrency, active, held, done, versions, number, first_seen, last_seen,
        ended
    )
    SELECT
        'boot-' || queue || n, queue || '@worker-' || n, 'worker-' || n || '.eu-central-1.compute.internal', 4000 + n,
        jsonb_build_array(queue), 'prefork', 8, n * 2, n * 5, 31000 * n, '{"toolbox": "1.1.0"}', 7,
        now() - interval '9 hours',
        now() - CASE WHEN n = 3 AND queue = 'map' THEN interval '4 minutes' ELSE interval '9 seconds' END,
        CASE WHEN n = 3 AND queue <> 'map' THEN now() - interval '9 seconds' END
    FROM unnest(ARRAY['export', 'survey', 'map', 'msg', 'photo']) queue, generate_series(1, 3) n
    """,
    """
    INSERT INTO celery_monitor (boot, host, pid, version, first_seen, last_seen, caught_up)
    SELECT 'monitor-' || n, 'platform-' || n, 70 + n, '1.1.0', now() - interval '2 days', now(), now()
    FROM generate_series(1, 2) n
    """,
    """
    INSERT INTO celery_task_rejected (digest, reason, message, first_seen, last_seen)
    VALUES (repeat('7', 64), 'The body is not JSON.', 'no JSON', now(), now())
    ON CONFLICT DO NOTHING
    """,
)


def seed(url: str, tasks: int) -> None:
    """Make the tables and fill them.

    :param url: the URL of an empty database of PostgreSQL
    :param tasks: the number of tasks, `WORKFLOW` at least
    """
    upgrade(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    values = {
        'names': list(NAMES),
        'tasks': tasks,
        'workflow': WORKFLOW,
        'large': LARGE,
        'traceback': _TRACEBACK,
        'errors': ['|'.join(error) for error in _ERRORS],
    }
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                'CREATE FUNCTION pg_temp.seeded_id(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS '
                '$$ SELECT CAST(md5(CAST(n AS text)) AS uuid) $$'
            )
        )
        for statement in (_NUMBERED, _TASKS, _RESULTS):
            statement = statement.replace('seeded_id', 'pg_temp.seeded_id')
            connection.execute(sa.text(statement), values)
    with engine.connect().execution_options(isolation_level='AUTOCOMMIT') as connection:
        connection.execute(sa.text('VACUUM ANALYZE'))
    refresh(url)


def refresh(url: str) -> None:
    """Let workers and monitors report, and renew the leases of what runs."""
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in _LIVE:
            connection.execute(sa.text(statement))
