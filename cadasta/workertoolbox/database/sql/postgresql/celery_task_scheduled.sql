-- Every task that the monitor stored, with its result. The status is NULL where there is no result.
--
-- The condition on the status is in the join, so that PostgreSQL finds the tasks without a result by an anti-join. Where
-- result_id alone says which these are, PostgreSQL reads the indexes of both tables and no rows. It leaves out a join
-- whose columns nobody asks for.
SELECT
    t.task_id,
    r.status,
    r.date_done,
    r.result,
    r.traceback,
    t.name,
    t.args,
    t.kwargs,
    t.root_id,
    t.parent_id,
    t.group_id,
    t.routing_key,
    t.eta,
    t.expires,
    t.retries,
    t.timelimit,
    t.origin,
    t.options,
    t.first_seen,
    t.last_seen,
    t.sent,
    r.started,
    r.worker,
    r.runs,
    -- Seconds from when the task was sent, or may run, until it started. The result may be that of an earlier try.
    -- EXTRACT would give a number with any number of digits, which takes longer to compute.
    CASE
        WHEN r.retries = t.retries AND r.replaced = COALESCE((t.options ->> 'replaced_task_nesting')::integer, 0)
        THEN date_part('epoch', r.started - GREATEST(t.sent, t.eta))
    END AS waited,
    -- Seconds from when the task started until it ended, or until now. Nobody stores when a try ended that is retried.
    date_part('epoch',
        CASE
            WHEN r.status IN ('SUCCESS', 'FAILURE', 'REVOKED', 'RETRY') THEN r.date_done AT TIME ZONE 'UTC'
            ELSE now()
        END - r.started
    ) AS ran,
    CASE
        WHEN r.status = 'SUCCESS' THEN 'succeeded'
        -- A task that has never run is failed by another one, which was to send it.
        WHEN r.status = 'FAILURE' THEN CASE WHEN r.runs = 0 THEN 'cancelled' ELSE 'failed' END
        WHEN r.status = 'REVOKED' THEN
            CASE WHEN position('expired'::bytea IN r.result) > 0 THEN 'expired' ELSE 'cancelled' END
        WHEN r.status = 'RETRY' THEN 'retrying'
        -- STARTED, or a state of the task's own. A worker renews the lease of each task that it runs.
        WHEN r.status <> 'RECEIVED' THEN
            CASE WHEN r.lease < now() - interval '1 minute' THEN 'lost' ELSE 'running' END
        -- Nobody stores whether this task has run.
        WHEN t.options ->> 'ignore_result' = 'true' AND (t.eta > now()) IS NOT TRUE THEN 'unknown'
        WHEN t.expires <= now() THEN 'expired'
        WHEN t.eta > now() THEN 'waiting'
        ELSE 'queued'
    END AS standing,
    t.resent,
    -- The row of the result, whatever its state is. Somebody who sends a task again sets the state to PENDING before.
    stored.task_id AS result_id,
    stored.status AS result_status
FROM celery_task t
LEFT JOIN {results} r ON r.task_id = t.task_id AND r.status <> 'PENDING'
LEFT JOIN {results} stored ON stored.task_id = t.task_id
