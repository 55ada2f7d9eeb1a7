-- Workers: leases, heartbeats, rescue; and when to look again.

CREATE OR REPLACE FUNCTION procrastinate_register_worker_v1() RETURNS TABLE (worker_id bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id;
END
$$;

CREATE OR REPLACE FUNCTION procrastinate_unregister_worker_v1(worker_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM procrastinate_workers WHERE id = worker_id;
END
$$;

CREATE OR REPLACE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = worker_id;
END
$$;

-- Python's leases only. Ours end by postpone_rescue_worker, which decides the jobs of the dead in the same transaction;
-- and each Python worker calls this with a limit of its own, which knows nothing of how long ours may be silent.
-- Locked in the order of ids, as by postpone_heartbeat: two that hold several leases must not wait for each other.
CREATE OR REPLACE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat float)
RETURNS TABLE (worker_id bigint)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH silent AS MATERIALIZED (
        SELECT worker.id
        FROM procrastinate_workers AS worker
        WHERE worker.last_heartbeat < now() - make_interval(secs => seconds_since_heartbeat)
          AND NOT EXISTS (SELECT FROM postpone_workers AS ours WHERE ours.worker_id = worker.id)
        ORDER BY worker.id
        FOR UPDATE
    )
    DELETE FROM procrastinate_workers AS worker USING silent
    WHERE worker.id = silent.id
    RETURNING worker.id;
END
$$;

CREATE OR REPLACE FUNCTION postpone_register_worker(supervisor text, host text, name text, pid integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id INTO new_id;
    INSERT INTO postpone_workers (worker_id, supervisor, host, name, pid)
    VALUES (new_id, supervisor, host, name, pid);
    RETURN new_id;
END
$$;

-- Heartbeats of all workers of a supervisor. Those whose leases still exist; the others have been rescued.
CREATE OR REPLACE FUNCTION postpone_heartbeat(worker_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    alive bigint[];
BEGIN
    PERFORM FROM procrastinate_workers WHERE id = ANY (worker_ids) ORDER BY id FOR NO KEY UPDATE;
    WITH beaten AS (
        UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = ANY (worker_ids) RETURNING id
    )
    SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO alive FROM beaten;
    RETURN alive;
END
$$;

-- Workers that have been silent for so many seconds: ours, or Python's too.
CREATE OR REPLACE FUNCTION postpone_stalled_workers(silent_for double precision, include_foreign boolean)
RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT worker.id
    FROM procrastinate_workers AS worker
    WHERE worker.last_heartbeat < now() - make_interval(secs => silent_for)
      AND (include_foreign OR EXISTS (SELECT FROM postpone_workers WHERE worker_id = worker.id))
    ORDER BY worker.id;
END
$$;

-- Ends the lease of a worker that is dead, in one transaction. Locking its row waits for a fetch of the dead one
-- that is still in flight (it holds the row by the foreign key); deleting it makes any later fetch fail and any
-- later finish match nothing. In between all its jobs are decided:
--   by `outcomes`, where it is known how they ended (as postpone_finish_jobs);
--   released, when `running` is given and they are not among it: they were never started;
--   else by stalled_action: `retry` (waits again at once; failed when it has lost max_stalled workers before),
--   `fail`, or `report` (stays in `doing`, without a worker, for people to decide).
-- No rows when somebody else was faster.
CREATE OR REPLACE FUNCTION postpone_rescue_worker(
    p_worker_id bigint, outcomes jsonb, stalled_action text, max_stalled integer, message text,
    running bigint[] DEFAULT NULL)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    undecided jsonb;
BEGIN
    IF stalled_action IS NULL OR stalled_action NOT IN ('retry', 'fail', 'report') THEN
        RAISE EXCEPTION 'postpone_rescue_worker: stalled_action is retry, fail or report, not %', stalled_action
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM procrastinate_workers WHERE id = p_worker_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM postpone_finish_jobs(p_worker_id, outcomes);

    SELECT jsonb_agg(jsonb_build_object('job_id', job.id, 'attempt', job.attempts + 1, 'message', message)
                     || CASE WHEN NOT was_running THEN '{"action": "release"}'
                             WHEN is_poison THEN '{"action": "fail", "cause": "poison"}'
                             ELSE jsonb_build_object('action', stalled_action, 'cause', 'worker_lost')
                        END ORDER BY job.id)
    INTO undecided
    FROM procrastinate_jobs AS job
    CROSS JOIN LATERAL (
        SELECT running IS NULL OR job.id = ANY (running) AS was_running,
               stalled_action = 'retry' AND count(*) >= max_stalled AS is_poison
        FROM postpone_attempts AS lost
        WHERE lost.job_id = job.id AND lost.cause = 'worker_lost'
    ) AS history
    WHERE job.worker_id = p_worker_id AND job.status = 'doing'
      AND NOT (was_running AND stalled_action = 'report');
    RETURN QUERY SELECT * FROM postpone_finish_jobs(p_worker_id, undecided);

    DELETE FROM procrastinate_workers WHERE id = p_worker_id;
END
$$;

-- The earliest time after `after` (null: after now) at which waiting jobs become due, and their queues. A job at
-- 'infinity' never is. due_in is at most 24 days, so that it fits into any timer: whoever waits looks again then.
CREATE OR REPLACE FUNCTION postpone_next_due(after timestamptz)
RETURNS TABLE (due_at timestamptz, due_in double precision, queue_names text[])
LANGUAGE plpgsql AS $$
BEGIN
    after := coalesce(after, clock_timestamp());
    SELECT scheduled_at INTO due_at
    FROM procrastinate_jobs
    WHERE status = 'todo' AND scheduled_at > after AND scheduled_at < 'infinity'
    ORDER BY scheduled_at
    LIMIT 1;
    IF FOUND THEN
        due_in := least(extract(epoch FROM due_at - clock_timestamp()), 24 * 86400);
        queue_names := ARRAY(SELECT DISTINCT queue_name::text FROM procrastinate_jobs
                             WHERE status = 'todo' AND scheduled_at = due_at ORDER BY 1);
        RETURN NEXT;
    END IF;
END
$$;
