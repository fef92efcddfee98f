-- Every task that the monitor stored, with its result. The status is NULL where there is no result.
--
-- The condition on the status is in the join, so that PostgreSQL finds the tasks without a result by an anti-join.
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
    t.last_seen
FROM celery_task t
LEFT JOIN {results} r ON r.task_id = t.task_id AND r.status <> 'PENDING'
