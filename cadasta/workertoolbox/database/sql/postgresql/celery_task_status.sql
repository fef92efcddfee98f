-- Every task that the monitor stored, and every result whose task it has not stored (yet).
--
-- A full join would give the same rows. But PostgreSQL uses its indexes for a condition on each half of a union, and it
-- sees that the NULLs of the second half meet no condition on the task.
SELECT
    task_id,
    COALESCE(status, 'PENDING') AS status,
    date_done,
    result,
    traceback,
    name,
    args,
    kwargs,
    root_id,
    parent_id,
    group_id,
    routing_key,
    eta,
    expires,
    retries,
    timelimit,
    origin,
    options,
    first_seen,
    last_seen,
    sent,
    started,
    worker,
    runs,
    waited,
    ran,
    standing,
    resent
FROM celery_task_scheduled

UNION ALL

SELECT
    r.task_id,
    r.status,
    r.date_done,
    r.result,
    r.traceback,
    CAST(NULL AS TEXT) AS name,
    CAST(NULL AS JSONB) AS args,
    CAST(NULL AS JSONB) AS kwargs,
    CAST(NULL AS VARCHAR(155)) AS root_id,
    CAST(NULL AS VARCHAR(155)) AS parent_id,
    CAST(NULL AS VARCHAR(155)) AS group_id,
    CAST(NULL AS TEXT) AS routing_key,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS eta,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS expires,
    CAST(NULL AS INTEGER) AS retries,
    CAST(NULL AS JSONB) AS timelimit,
    CAST(NULL AS TEXT) AS origin,
    CAST(NULL AS JSONB) AS options,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS first_seen,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS last_seen,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS sent,
    r.started,
    r.worker,
    r.runs,
    CAST(NULL AS DOUBLE PRECISION) AS waited,
    date_part('epoch',
        CASE
            WHEN r.status IN ('SUCCESS', 'FAILURE', 'REVOKED', 'RETRY') THEN r.date_done AT TIME ZONE 'UTC'
            ELSE now()
        END - r.started
    ) AS ran,
    CASE
        WHEN r.status = 'SUCCESS' THEN 'succeeded'
        WHEN r.status = 'FAILURE' THEN CASE WHEN r.runs = 0 THEN 'cancelled' ELSE 'failed' END
        WHEN r.status = 'REVOKED' THEN
            CASE WHEN position('expired'::bytea IN r.result) > 0 THEN 'expired' ELSE 'cancelled' END
        WHEN r.status = 'RETRY' THEN 'retrying'
        WHEN r.status NOT IN ('PENDING', 'RECEIVED') THEN
            CASE WHEN r.lease < now() - interval '1 minute' THEN 'lost' ELSE 'running' END
        ELSE 'queued'
    END AS standing,
    CAST(NULL AS INTEGER) AS resent
FROM {results} r
LEFT JOIN celery_task t ON t.task_id = r.task_id
WHERE t.task_id IS NULL
