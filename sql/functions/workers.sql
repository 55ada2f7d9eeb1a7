-- Workers: leases and heartbeats; and when to look again.

-- So many seconds, as an interval that can be added to any moment of the present: at most a hundred years either way.
CREATE OR REPLACE FUNCTION {schema}.postpone_seconds(amount double precision) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT make_interval(secs => CASE WHEN amount > 3155760000 THEN 3155760000
                                      WHEN amount < -3155760000 THEN -3155760000
                                      ELSE amount END)
$$;

CREATE OR REPLACE FUNCTION {schema}.procrastinate_register_worker_v1() RETURNS TABLE (worker_id bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY INSERT INTO {schema}.procrastinate_workers DEFAULT VALUES RETURNING id;
END
$$;

-- The plan of the foreign key's action is pinned with it: that must not walk through all jobs.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_unregister_worker_v1(worker_id bigint) RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    DELETE FROM {schema}.procrastinate_workers WHERE id = worker_id;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.procrastinate_workers SET last_heartbeat = now() WHERE id = worker_id;
END
$$;

-- Python's leases only. Ours end by postpone_rescue_worker, which decides the jobs of the dead in the same transaction;
-- and each Python worker calls this with a limit of its own, which knows nothing of how long ours may be silent.
-- Locked in the order of ids, as by postpone_heartbeat: two that hold several leases must not wait for each other.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat float)
RETURNS TABLE (worker_id bigint)
LANGUAGE plpgsql AS $$
BEGIN
    -- Ours are for our housekeepers. But if none is left, people find in `doing` what they ran.
    PERFORM {schema}.postpone_settle_jobs(ARRAY(
        SELECT claim.job_id
        FROM {schema}.postpone_claims AS claim
        JOIN {schema}.procrastinate_workers AS worker ON worker.id = claim.worker_id
        WHERE worker.last_heartbeat < now() - {schema}.postpone_seconds(seconds_since_heartbeat)));
    RETURN QUERY
    WITH silent AS MATERIALIZED (
        SELECT worker.id
        FROM {schema}.procrastinate_workers AS worker
        WHERE worker.last_heartbeat < now() - {schema}.postpone_seconds(seconds_since_heartbeat)
          AND NOT EXISTS (SELECT FROM {schema}.postpone_workers AS ours WHERE ours.worker_id = worker.id)
        ORDER BY worker.id
        FOR UPDATE
    )
    DELETE FROM {schema}.procrastinate_workers AS worker USING silent
    WHERE worker.id = silent.id
    RETURNING worker.id;
END
$$;

-- queues: those that it serves, empty for all. Programs of earlier versions do not say: null.
CREATE OR REPLACE FUNCTION {schema}.postpone_register_worker(
    supervisor text, host text, name text, pid integer, queues text[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint;
BEGIN
    IF supervisor IS NULL OR host IS NULL OR name IS NULL OR pid IS NULL THEN
        RAISE EXCEPTION 'postpone_register_worker: an argument is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    INSERT INTO {schema}.procrastinate_workers DEFAULT VALUES RETURNING id INTO new_id;
    INSERT INTO {schema}.postpone_workers (worker_id, supervisor, host, name, pid, queues)
    VALUES (new_id, supervisor, host, name, pid, queues);
    RETURN new_id;
END
$$;

-- Stores a heartbeat for all workers of a supervisor and returns those that got one. It passes over a row
-- that another session has locked: one lock must not hold up the heartbeats of the others. So a worker that
-- it leaves out may exist.
CREATE OR REPLACE FUNCTION {schema}.postpone_store_heartbeats(worker_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    stored bigint[];
BEGIN
    WITH unlocked AS MATERIALIZED (
        SELECT id FROM {schema}.procrastinate_workers WHERE id = ANY (worker_ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), beaten AS (
        UPDATE {schema}.procrastinate_workers AS worker SET last_heartbeat = now()
        FROM unlocked
        WHERE worker.id = unlocked.id
        RETURNING worker.id
    )
    SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO stored FROM beaten;
    PERFORM {schema}.postpone_sweep_claims();
    PERFORM {schema}.postpone_sweep_noted();
    RETURN stored;
END
$$;

-- The same for families that run the first release. Those take a worker that is left out for gone, so this
-- one waits for every lock.
CREATE OR REPLACE FUNCTION {schema}.postpone_heartbeat(worker_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM {schema}.procrastinate_workers WHERE id = ANY (worker_ids) ORDER BY id FOR NO KEY UPDATE;
    RETURN {schema}.postpone_store_heartbeats(worker_ids);
END
$$;

-- Workers that have been silent for so many seconds: ours, or Python's too.
CREATE OR REPLACE FUNCTION {schema}.postpone_stalled_workers(silent_for double precision, include_foreign boolean)
RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT worker.id
    FROM {schema}.procrastinate_workers AS worker
    WHERE worker.last_heartbeat < now() - {schema}.postpone_seconds(silent_for)
      AND (include_foreign OR EXISTS (SELECT FROM {schema}.postpone_workers WHERE worker_id = worker.id))
    ORDER BY worker.id;
END
$$;

-- The earliest time after `after` (null: after now) at which waiting jobs become due, and their queues. A job at
-- 'infinity' never is. due_in is at most 24 days, so that it fits into any timer: the caller asks again then.
CREATE OR REPLACE FUNCTION {schema}.postpone_next_due(after timestamptz)
RETURNS TABLE (due_at timestamptz, due_in double precision, queue_names text[])
LANGUAGE plpgsql AS $$
BEGIN
    after := coalesce(after, clock_timestamp());
    -- Each of the two has an index.
    due_at := least(
        (SELECT scheduled_at FROM {schema}.procrastinate_jobs
         WHERE status = 'todo' AND parked IS NULL AND scheduled_at > after AND scheduled_at < 'infinity'
         ORDER BY scheduled_at LIMIT 1),
        (SELECT scheduled_at FROM {schema}.procrastinate_jobs
         WHERE status = 'todo' AND parked = 'time'
           AND coalesce(scheduled_at, '-infinity') > after AND coalesce(scheduled_at, '-infinity') < 'infinity'
         ORDER BY coalesce(scheduled_at, '-infinity') LIMIT 1));
    IF due_at IS NOT NULL THEN
        due_in := least(extract(epoch FROM due_at - clock_timestamp()), 24 * 86400);
        queue_names := ARRAY(
            SELECT queue_name::text FROM {schema}.procrastinate_jobs
            WHERE status = 'todo' AND parked IS NULL AND scheduled_at = due_at
            UNION
            SELECT queue_name FROM {schema}.procrastinate_jobs
            WHERE status = 'todo' AND parked = 'time' AND coalesce(scheduled_at, '-infinity') = due_at
            ORDER BY 1);
        RETURN NEXT;
    END IF;
END
$$;

-- The caller names jobs that run (number n under lease n); the function returns those that have to stop.
-- Either an abort was requested, or the lease does not hold the job any more: the job was deleted, finished,
-- sent back or given to another worker.
CREATE OR REPLACE FUNCTION {schema}.postpone_jobs_to_stop(p_worker_ids bigint[], p_job_ids bigint[])
RETURNS TABLE (worker_id bigint, job_id bigint, is_held boolean)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT running.worker_id, running.job_id, job.id IS NOT NULL
    FROM unnest(p_worker_ids, p_job_ids) AS running (worker_id, job_id)
    LEFT JOIN {schema}.procrastinate_jobs AS job
        ON job.id = running.job_id
            AND (job.status::text = 'doing' AND job.worker_id IS NOT DISTINCT FROM running.worker_id
                 OR job.status::text = 'todo'
                     AND (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1)
                         = running.worker_id)
    WHERE job.id IS NULL OR job.abort_requested;
END
$$;
