-- Jobs: defer, fetch, finish, retry, cancel. For Python's workers (procrastinate_*) and for ours (postpone_*), on
-- the same code.
--
-- Functions that are called for every job pin their plans to index probes:
--     SET plan_cache_mode = force_generic_plan    never planned again, however LIMIT or the arrays vary
--     SET enable_seqscan / bitmapscan / hashjoin / mergejoin / sort = off
--     SET jit = off                               what is switched off counts as so expensive that it would be compiled
-- The table's statistics are always out of date here (it was empty at the last analyze, and holds 300,000 waiting
-- jobs now); a planner that believes them once sorts or scans the whole table at each fetch from then on.

-- ----------------------------------------------------------------------------------------------------- defer

-- Creates all jobs, or none; their ids in the order of the array, null for an empty one.
CREATE OR REPLACE FUNCTION procrastinate_defer_jobs_v1(jobs procrastinate_job_to_defer_v1[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH created AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT job.queue_name, job.task_name, coalesce(job.priority, 0), job.lock, job.queueing_lock,
               coalesce(job.args, '{}'), job.scheduled_at
        FROM unnest(jobs) WITH ORDINALITY AS job
        ORDER BY job.ordinality
        RETURNING id
    )
    SELECT array_agg(id ORDER BY id) INTO job_ids FROM created;
    RETURN job_ids;
END
$$;

-- The form for applications: SELECT postpone_defer('mail.send', '{"to": "ann"}', queue => 'mail').
CREATE OR REPLACE FUNCTION postpone_defer(
    task text, args jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 0,
    lock text DEFAULT NULL, queueing_lock text DEFAULT NULL, scheduled_at timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (procrastinate_defer_jobs_v1(ARRAY[
        ROW(queue, task, priority, lock, queueing_lock, args, scheduled_at)::procrastinate_job_to_defer_v1]))[1];
END
$$;

-- Once per (task, periodic_id, timestamp), whichever of many schedulers comes first; null for the others.
CREATE OR REPLACE FUNCTION procrastinate_defer_periodic_job_v2(
    _queue_name varchar, _lock varchar, _queueing_lock varchar, _task_name varchar, _priority integer,
    _periodic_id varchar, _defer_timestamp bigint, _args jsonb)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    defer_id bigint;
    deferred_job_id bigint;
BEGIN
    INSERT INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
    VALUES (_task_name, _periodic_id, _defer_timestamp)
    ON CONFLICT ON CONSTRAINT procrastinate_periodic_defers_unique DO NOTHING
    RETURNING id INTO defer_id;
    IF defer_id IS NULL THEN
        RETURN NULL;
    END IF;

    deferred_job_id := postpone_defer(_task_name, _args, _queue_name, _priority, _lock, _queueing_lock);
    UPDATE procrastinate_periodic_defers SET job_id = deferred_job_id WHERE id = defer_id;
    DELETE FROM procrastinate_periodic_defers
    WHERE task_name = _task_name AND periodic_id = _periodic_id AND defer_timestamp < _defer_timestamp;
    RETURN deferred_job_id;
END
$$;

-- ----------------------------------------------------------------------------------------------------- fetch

-- Jobs that nobody else holds go to `doing`, leased to this worker.
CREATE OR REPLACE FUNCTION postpone_start_jobs(job_ids bigint[], p_worker_id bigint) RETURNS SETOF procrastinate_jobs
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY
    WITH started AS (
        UPDATE procrastinate_jobs AS job SET status = 'doing', worker_id = p_worker_id
        WHERE job.id = ANY (job_ids)
        RETURNING job.*
    )
    SELECT * FROM started ORDER BY priority DESC, id;
END
$$;

-- The one selection of jobs to run: up to max_jobs that wait in these queues (null or empty: in any), are due, and
-- are not held by others, by priority, then id. Of a lock, at most the first that waits, whatever its queue or
-- schedule, and only while none of that lock is running.
--
-- Fetchers do not wait for each other (SKIP LOCKED), so a snapshot may show a lock free whose elder job came in,
-- and was started, since. The unique index on running locks finds that out; then we look again. The rows passed
-- over then stay locked until we commit, invisible to others, who may have been told of them meanwhile: so they are
-- announced again.
--
-- A transaction that keeps its snapshot (REPEATABLE READ) may not take a job that changed since: it finds nothing.
-- Only such a one pays for the subtransaction in which it learns that; `may_fail` tells that it runs in one already.
CREATE OR REPLACE FUNCTION postpone_take_jobs(
    target_queue_names varchar[], p_worker_id bigint, max_jobs integer, may_fail boolean DEFAULT false)
RETURNS SETOF procrastinate_jobs
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    any_queue boolean := coalesce(cardinality(target_queue_names), 0) = 0;
    job_ids bigint[];
    with_lock boolean;
    violated text;
BEGIN
    IF NOT may_fail AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        BEGIN
            RETURN QUERY SELECT * FROM postpone_take_jobs(target_queue_names, p_worker_id, max_jobs, may_fail => true);
        EXCEPTION WHEN serialization_failure THEN
            NULL;
        END;
        RETURN;
    END IF;

    -- One round, nearly always; under REPEATABLE READ, where a second look sees no more than the first, it must
    -- end.
    FOR round IN 1 .. 10 LOOP
        SELECT array_agg(candidate.id), bool_or(candidate.lock IS NOT NULL) INTO job_ids, with_lock
        FROM (
            SELECT job.id, job.lock
            FROM procrastinate_jobs AS job
            WHERE job.status = 'todo'
              -- array_position, not ANY: no index on queue_name may tempt the planner.
              AND (any_queue OR array_position(target_queue_names, job.queue_name) IS NOT NULL)
              AND (job.scheduled_at IS NULL OR job.scheduled_at <= clock_timestamp())
              AND CASE WHEN job.lock IS NULL THEN true ELSE
                  -- Scalar subqueries with a LIMIT cannot become a join: each is one index probe.
                  (SELECT running.id FROM procrastinate_jobs AS running
                   WHERE running.status = 'doing' AND running.lock = job.lock LIMIT 1) IS NULL
                  AND (SELECT elder.id FROM procrastinate_jobs AS elder
                       WHERE elder.status = 'todo' AND elder.lock = job.lock
                       ORDER BY elder.priority DESC, elder.id LIMIT 1) = job.id
                  END
            ORDER BY job.priority DESC, job.id
            LIMIT coalesce(max_jobs, 1)
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS candidate;

        IF job_ids IS NULL THEN
            RETURN;
        ELSIF NOT with_lock THEN
            -- Nothing can collide: no need to pay for a subtransaction.
            RETURN QUERY SELECT * FROM postpone_start_jobs(job_ids, p_worker_id);
            RETURN;
        END IF;
        BEGIN
            RETURN QUERY SELECT * FROM postpone_start_jobs(job_ids, p_worker_id);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF violated <> 'procrastinate_jobs_lock_idx_v1' THEN
                RAISE;
            END IF;
            PERFORM postpone_announce_jobs(queue_name, min(id), count(*), false, false)
            FROM procrastinate_jobs
            WHERE id = ANY (job_ids) AND lock IS NOT NULL
            GROUP BY queue_name;
        END;
    END LOOP;
END
$$;

-- Python's fetch. Always one row, all null when there is nothing: clients do not expect an empty result.
CREATE OR REPLACE FUNCTION procrastinate_fetch_job_v2(target_queue_names varchar[], p_worker_id bigint)
RETURNS procrastinate_jobs
LANGUAGE plpgsql AS $$
DECLARE
    found_job procrastinate_jobs;
BEGIN
    SELECT * INTO found_job FROM postpone_take_jobs(target_queue_names, p_worker_id, 1);
    RETURN found_job;
END
$$;

-- Our fetch. `more` tells, on every row, whether it is worth it to wake somebody: another job is due, and does not
-- wait for one of these. It may be wrong about locks of others, and looks only so far: to be exact would cost
-- another fetch.
CREATE OR REPLACE FUNCTION postpone_fetch_jobs(target_queue_names varchar[], p_worker_id bigint, max_jobs integer)
RETURNS TABLE (id bigint, queue_name varchar, task_name varchar, priority integer, lock text, queueing_lock text,
               args jsonb, scheduled_at timestamptz, attempts integer, more boolean)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_column
DECLARE
    any_queue boolean := coalesce(cardinality(target_queue_names), 0) = 0;
    taken procrastinate_jobs[];
    is_more boolean := false;
BEGIN
    taken := ARRAY(SELECT job FROM postpone_take_jobs(target_queue_names, p_worker_id, max_jobs) AS job);
    -- Fewer than asked for: the walk came to its end.
    IF cardinality(taken) = coalesce(max_jobs, 1) THEN
        is_more := EXISTS (
            SELECT FROM (
                SELECT job.lock
                FROM procrastinate_jobs AS job
                WHERE job.status = 'todo'
                  AND (any_queue OR array_position(target_queue_names, job.queue_name) IS NOT NULL)
                  AND (job.scheduled_at IS NULL OR job.scheduled_at <= clock_timestamp())
                ORDER BY job.priority DESC, job.id
                LIMIT 50
            ) AS next
            WHERE next.lock IS NULL OR NOT EXISTS (SELECT FROM unnest(taken) AS mine WHERE mine.lock = next.lock));
    END IF;
    RETURN QUERY
    SELECT job.id, job.queue_name, job.task_name, job.priority, job.lock, job.queueing_lock, job.args,
           job.scheduled_at, job.attempts, is_more
    FROM unnest(taken) AS job;
END
$$;

-- ---------------------------------------------------------------------------------------------------- finish

-- Applies outcomes (see postpone_finish_jobs) as one set, and says what became of each, in their order. Only jobs
-- that this worker holds, in the attempt that the outcome speaks of, are touched. A job that goes back to waiting
-- may violate the queueing lock's unique index: that is for the caller.
CREATE OR REPLACE FUNCTION postpone_apply_outcomes(p_worker_id bigint, outcomes jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH outcome AS MATERIALIZED (
        SELECT *
        FROM ROWS FROM (jsonb_to_recordset(outcomes) AS (
            job_id bigint, attempt integer, action postpone_action, delete_job boolean, retry_in double precision,
            new_priority integer, new_queue varchar, new_lock text, cause postpone_cause, exception_type text,
            message text, signal integer, exit_status integer, stderr_tail text, run_time double precision,
            cpu_time double precision, max_rss bigint, superseded_by bigint)) WITH ORDINALITY
    ), decided AS (
        UPDATE procrastinate_jobs AS job
        SET status = CASE outcome.action
                WHEN 'succeed' THEN 'succeeded'
                WHEN 'fail' THEN 'failed'
                WHEN 'abort' THEN 'aborted'
                -- Somebody wants it to stop: it does not wait again.
                WHEN 'retry' THEN CASE WHEN job.abort_requested THEN 'failed' ELSE 'todo' END
                WHEN 'release' THEN CASE WHEN job.abort_requested THEN 'cancelled' ELSE 'todo' END
            END::procrastinate_job_status,
            attempts = CASE outcome.action WHEN 'release' THEN job.attempts ELSE job.attempts + 1 END,
            scheduled_at = CASE WHEN outcome.action = 'retry' AND NOT job.abort_requested
                THEN now() + make_interval(secs => coalesce(outcome.retry_in, 0)) ELSE job.scheduled_at END,
            priority = coalesce(
                CASE WHEN outcome.action = 'retry' AND NOT job.abort_requested THEN outcome.new_priority END,
                job.priority),
            queue_name = coalesce(
                CASE WHEN outcome.action = 'retry' AND NOT job.abort_requested THEN outcome.new_queue END,
                job.queue_name),
            lock = coalesce(
                CASE WHEN outcome.action = 'retry' AND NOT job.abort_requested THEN outcome.new_lock END,
                job.lock),
            abort_requested = false,
            -- Cleared, so that the end of the lease finds only what is left to rescue.
            worker_id = NULL
        FROM outcome
        WHERE job.id = outcome.job_id AND job.attempts = outcome.attempt - 1
          -- Spelled so that no index on status or worker_id fits: in those, every job that is running, or was since
          -- the table was vacuumed, has left an entry.
          AND job.status::text = 'doing' AND job.worker_id IS NOT DISTINCT FROM p_worker_id
        RETURNING outcome.ordinality, job.id, job.status
    ), kept AS (
        INSERT INTO postpone_attempts (
            job_id, attempt, cause, exception_type, message, signal, exit_status, stderr_tail, run_time, cpu_time,
            max_rss, worker_id, worker_name, superseded_by)
        SELECT outcome.job_id, outcome.attempt,
               coalesce(outcome.cause, CASE outcome.action
                   WHEN 'succeed' THEN 'succeeded' WHEN 'abort' THEN 'aborted' ELSE 'exception' END::postpone_cause),
               outcome.exception_type, outcome.message, outcome.signal, outcome.exit_status, outcome.stderr_tail,
               outcome.run_time, outcome.cpu_time, outcome.max_rss, p_worker_id,
               (SELECT name FROM postpone_workers WHERE worker_id = p_worker_id), outcome.superseded_by
        FROM outcome JOIN decided USING (ordinality)
        WHERE outcome.action <> 'release'
        -- The same number again: somebody has set `attempts` back by hand. The later word counts.
        ON CONFLICT ON CONSTRAINT postpone_attempts_pkey DO UPDATE
        SET (cause, exception_type, message, signal, exit_status, stderr_tail, run_time, cpu_time, max_rss,
             worker_id, worker_name, superseded_by, ended_at)
          = (excluded.cause, excluded.exception_type, excluded.message, excluded.signal, excluded.exit_status,
             excluded.stderr_tail, excluded.run_time, excluded.cpu_time, excluded.max_rss,
             excluded.worker_id, excluded.worker_name, excluded.superseded_by, excluded.ended_at)
    )
    SELECT outcome.job_id,
           CASE
               WHEN decided.id IS NOT NULL AND outcome.superseded_by IS NOT NULL THEN 'superseded'
               WHEN decided.id IS NOT NULL THEN 'recorded'
               WHEN outcome.action <> 'release' AND EXISTS (
                   SELECT FROM postpone_attempts AS known
                   WHERE known.job_id = outcome.job_id AND known.attempt = outcome.attempt
                     AND known.worker_id = p_worker_id) THEN 'already_recorded'
               ELSE 'gone'
           END,
           CASE WHEN decided.id IS NOT NULL THEN outcome.superseded_by END,
           coalesce(decided.status, (SELECT job.status FROM procrastinate_jobs AS job WHERE job.id = outcome.job_id))
    FROM outcome LEFT JOIN decided USING (ordinality)
    ORDER BY outcome.ordinality;

    IF outcomes @? '$[*] ? (@.delete_job == true)' THEN
        DELETE FROM procrastinate_jobs AS job
        USING jsonb_to_recordset(outcomes)
            AS outcome (job_id bigint, attempt integer, action postpone_action, delete_job boolean),
            postpone_attempts AS ended
        WHERE outcome.delete_job AND outcome.action IN ('succeed', 'fail', 'abort')
          AND ended.job_id = outcome.job_id AND ended.attempt = outcome.attempt AND ended.worker_id = p_worker_id
          AND job.id = outcome.job_id AND job.attempts = outcome.attempt
          AND job.status IN ('succeeded', 'failed', 'aborted');
    END IF;
END
$$;

-- The jobs that a handler deferred. One whose queueing lock is taken is left out: the waiting job stands for it.
CREATE OR REPLACE FUNCTION postpone_defer_followers(defers jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
    SELECT coalesce(queue, 'default'), task, coalesce(priority, 0), lock, queueing_lock, coalesce(args, '{}'),
           CASE WHEN delay > 0 THEN now() + make_interval(secs => delay) END
    FROM jsonb_to_recordset(defers) AS job (
        task varchar, args jsonb, queue varchar, priority integer, lock text, queueing_lock text,
        delay double precision)
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING;
END
$$;

-- The job that waits under the queueing lock of this one.
CREATE OR REPLACE FUNCTION postpone_waiting_instead_of(p_job_id bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT waiting.id
            FROM procrastinate_jobs AS job
            JOIN procrastinate_jobs AS waiting
                ON waiting.queueing_lock = job.queueing_lock AND waiting.status = 'todo'
            WHERE job.id = p_job_id);
END
$$;

-- Under REPEATABLE READ the job that holds the queueing lock may stay invisible: the transaction is to be tried again.
CREATE OR REPLACE FUNCTION postpone_refuse_to_wait(p_job_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'job % cannot go back to waiting: who holds its queueing lock is not visible', p_job_id
        USING ERRCODE = 'serialization_failure';
END
$$;

-- Applies one outcome for which that may take a second try: it asks for a place among the waiting jobs that another
-- one has under the same queueing lock, or for jobs that the database refuses. The unique index is the only check,
-- so there is no gap between check and act; the waiting job is looked up afterwards, and may have left by then: try
-- again.
CREATE OR REPLACE FUNCTION postpone_apply_outcome(p_worker_id bigint, outcome jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)
LANGUAGE plpgsql AS $$
DECLARE
    violated text;
    waiting_id bigint;
BEGIN
    FOR round IN 1 .. 10 LOOP
        BEGIN
            SELECT * INTO job_id, disposition, by_job_id, status
            FROM postpone_apply_outcomes(p_worker_id, jsonb_build_array(outcome));
            IF disposition = 'recorded' AND status = 'succeeded' AND outcome ? 'defers' THEN
                PERFORM postpone_defer_followers(outcome -> 'defers');
            END IF;
            RETURN NEXT;
            RETURN;
        EXCEPTION
            WHEN unique_violation THEN
                GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
                IF violated <> 'procrastinate_jobs_queueing_lock_idx_v1' THEN
                    RAISE;
                END IF;
                waiting_id := postpone_waiting_instead_of((outcome ->> 'job_id')::bigint);
                IF waiting_id IS NOT NULL THEN
                    outcome := outcome - ARRAY['retry_in', 'new_priority', 'new_queue', 'new_lock', 'delete_job']
                        || jsonb_build_object(
                            'action', 'fail', 'cause', 'superseded', 'superseded_by', waiting_id, 'message',
                            concat_ws(': ', 'superseded by job ' || waiting_id, nullif(outcome ->> 'message', '')));
                END IF;
            WHEN data_exception OR not_null_violation THEN
                -- A success whose deferred jobs cannot be stored is none. Without defers the outcome itself is
                -- wrong.
                IF NOT outcome ? 'defers' THEN
                    RAISE;
                END IF;
                outcome := outcome - 'defers' || jsonb_build_object(
                    'action', 'fail', 'cause', 'exception',
                    'message', 'the jobs it deferred were refused: ' || sqlerrm);
        END;
    END LOOP;
    PERFORM postpone_refuse_to_wait((outcome ->> 'job_id')::bigint);
END
$$;

-- Records how jobs ended. `outcomes` is an array of objects, one per job; docs/sql.md lists their fields. One row
-- for each, in their order: recorded; superseded (it asked to wait again, but job `by_job_id` waits under its
-- queueing lock: it ended as failed); already_recorded (an earlier commit whose answer was lost); gone (no longer
-- this worker's).
--
-- The worker's row is locked before its jobs, as postpone_rescue_worker does, which is what keeps the two from a
-- deadlock.
CREATE OR REPLACE FUNCTION postpone_finish_jobs(p_worker_id bigint, outcomes jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)
LANGUAGE plpgsql AS $$
DECLARE
    outcome jsonb;
BEGIN
    IF p_worker_id IS NULL THEN
        RAISE EXCEPTION 'postpone_finish_jobs: the worker id is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF outcomes IS NULL OR outcomes = '[]' THEN
        RETURN;
    END IF;
    PERFORM FROM procrastinate_workers WHERE id = p_worker_id FOR KEY SHARE;

    IF NOT outcomes @? '$[*] ? (@.action == "retry" || @.action == "release" || exists (@.defers[*]))' THEN
        RETURN QUERY SELECT * FROM postpone_apply_outcomes(p_worker_id, outcomes);
        RETURN;
    END IF;
    IF NOT outcomes @? '$[*].defers[*]' THEN
        BEGIN
            RETURN QUERY SELECT * FROM postpone_apply_outcomes(p_worker_id, outcomes);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            NULL;  -- One of them collides: one by one.
        END;
    END IF;
    FOR outcome IN SELECT value FROM jsonb_array_elements(outcomes) LOOP
        RETURN QUERY SELECT * FROM postpone_apply_outcome(p_worker_id, outcome);
    END LOOP;
END
$$;

-- Python's finish. It keeps worker_id.
CREATE OR REPLACE FUNCTION procrastinate_finish_job_v1(
    job_id bigint, end_status procrastinate_job_status, delete_job boolean)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF end_status IS NULL OR end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'A job ends as succeeded, failed or aborted, not as % (job id: %)', end_status, job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs WHERE id = job_id AND status IN ('todo', 'doing');
    ELSE
        UPDATE procrastinate_jobs
        SET status = end_status, attempts = attempts + (status = 'doing')::integer, abort_requested = false
        WHERE id = job_id AND status IN ('todo', 'doing');
    END IF;
    IF NOT FOUND THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END
$$;

-- ------------------------------------------------------------------------------------------- retry and cancel

-- The end of a running job from the outside: failed, and its attempt counted.
CREATE OR REPLACE FUNCTION postpone_fail_running_job(p_job_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE procrastinate_jobs SET status = 'failed', attempts = attempts + 1, abort_requested = false
    WHERE id = p_job_id;
END
$$;

-- Makes a job that is in one of these states wait again; it keeps worker_id, which the next fetch replaces. A
-- running job that was to be aborted fails instead. So does one whose place another job has taken under the same
-- queueing lock; a job that had ended before stays as it is then. Never a unique violation.
CREATE OR REPLACE FUNCTION postpone_requeue_job(
    p_job_id bigint, from_statuses procrastinate_job_status[], retry_at timestamptz, new_priority integer,
    new_queue_name varchar, new_lock text)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    before procrastinate_jobs;
    violated text;
    waiting_id bigint;
BEGIN
    SELECT * INTO before FROM procrastinate_jobs AS job
    WHERE job.id = p_job_id AND job.status = ANY (from_statuses)
    FOR NO KEY UPDATE;
    IF NOT FOUND AND from_statuses = '{doing}' THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', p_job_id;
    ELSIF NOT FOUND THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', p_job_id;
    END IF;
    IF before.status = 'doing' AND before.abort_requested THEN
        PERFORM postpone_fail_running_job(p_job_id);
        RETURN QUERY SELECT p_job_id, 'recorded', NULL::bigint, 'failed'::procrastinate_job_status;
        RETURN;
    END IF;

    FOR round IN 1 .. 10 LOOP
        BEGIN
            RETURN QUERY
            UPDATE procrastinate_jobs AS job
            SET status = 'todo',
                attempts = job.attempts + (job.status IN ('doing', 'failed'))::integer,
                scheduled_at = retry_at,
                priority = coalesce(new_priority, job.priority),
                queue_name = coalesce(new_queue_name, job.queue_name),
                lock = coalesce(new_lock, job.lock),
                abort_requested = false
            WHERE job.id = p_job_id
            RETURNING job.id, 'recorded', NULL::bigint, job.status;
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF violated <> 'procrastinate_jobs_queueing_lock_idx_v1' THEN
                RAISE;
            END IF;
            waiting_id := postpone_waiting_instead_of(p_job_id);
        END;
        EXIT WHEN waiting_id IS NOT NULL;
    END LOOP;
    IF waiting_id IS NULL THEN
        PERFORM postpone_refuse_to_wait(p_job_id);
    END IF;

    IF before.status = 'doing' THEN
        PERFORM postpone_fail_running_job(p_job_id);
        INSERT INTO postpone_attempts AS known (job_id, attempt, cause, message, worker_id, superseded_by)
        VALUES (p_job_id, before.attempts + 1, 'superseded', 'superseded by job ' || waiting_id, before.worker_id,
                waiting_id)
        ON CONFLICT ON CONSTRAINT postpone_attempts_pkey DO UPDATE
        SET (cause, message, superseded_by) = (excluded.cause, excluded.message, excluded.superseded_by);
        before.status := 'failed';
    END IF;
    RETURN QUERY SELECT p_job_id, 'superseded', waiting_id, before.status;
END
$$;

-- For people: whatever has ended without success runs again, and the answer tells what came of it.
CREATE OR REPLACE FUNCTION postpone_retry_job(
    p_job_id bigint, retry_at timestamptz DEFAULT NULL, new_priority integer DEFAULT NULL,
    new_queue_name text DEFAULT NULL, new_lock text DEFAULT NULL)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM postpone_requeue_job(
        p_job_id, '{doing,failed,cancelled,aborted}', retry_at, new_priority, new_queue_name, new_lock);
END
$$;

CREATE OR REPLACE FUNCTION procrastinate_retry_job_v1(
    job_id bigint, retry_at timestamptz, new_priority integer, new_queue_name varchar, new_lock varchar)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM postpone_requeue_job(job_id, '{doing}', retry_at, new_priority, new_queue_name, new_lock);
END
$$;

CREATE OR REPLACE FUNCTION procrastinate_retry_job_v2(
    job_id bigint, retry_at timestamptz, new_priority integer, new_queue_name varchar, new_lock varchar)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM postpone_requeue_job(job_id, '{doing,failed}', retry_at, new_priority, new_queue_name, new_lock);
END
$$;

-- The id when the job was cancelled (or deleted), or asked to stop; null when neither applies.
CREATE OR REPLACE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found_id bigint;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs WHERE id = job_id AND status = 'todo' RETURNING id INTO found_id;
    ELSE
        UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = job_id AND status = 'todo'
        RETURNING id INTO found_id;
    END IF;
    IF found_id IS NULL AND abort THEN
        UPDATE procrastinate_jobs SET abort_requested = true WHERE id = job_id AND status = 'doing'
        RETURNING id INTO found_id;
    END IF;
    RETURN found_id;
END
$$;
