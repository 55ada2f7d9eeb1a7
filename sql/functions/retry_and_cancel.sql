-- Retry and cancel: what people and Python's workers do with a job from the outside.

-- What a job that was tried before may still spend, for the sub-worker that has fetched it: how many of its attempts do not
-- count against its task's max_attempts; how many counted ones it may have in all, if not as many as the task says; and how
-- many attempts in a row, up to five, have ended because the program did not fit the job. (A retry by a person counts up
-- `attempts` without an attempt, and so ends such a row.) Not STABLE: it is to see the job as the fetch of the same statement has.
CREATE OR REPLACE FUNCTION {schema}.postpone_retry_budget(
    p_job_id bigint, OUT uncounted integer, OUT allowed integer, OUT misfits integer)
LANGUAGE plpgsql STRICT
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    last_attempt integer;
BEGIN
    SELECT job.uncounted_attempts, job.attempts_allowed, job.attempts INTO uncounted, allowed, last_attempt
    FROM {schema}.procrastinate_jobs AS job WHERE job.id = p_job_id;
    misfits := 0;
    WHILE misfits < 5 AND (
        SELECT tried.cause FROM {schema}.postpone_attempts AS tried
        WHERE tried.job_id = p_job_id AND tried.attempt = last_attempt - misfits LIMIT 1
    ) IN ('unknown_task', 'bad_arguments') LOOP
        misfits := misfits + 1;
    END LOOP;
END
$$;

-- The end of a running job from the outside: failed, and its attempt counted.
CREATE OR REPLACE FUNCTION {schema}.postpone_fail_running_job(p_job_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.procrastinate_jobs
    SET status = 'failed', attempts = {schema}.postpone_next_attempt(attempts), abort_requested = false
    WHERE id = p_job_id;
END
$$;

-- Makes a job that is in one of these states wait again; it keeps worker_id, which the next fetch replaces. A
-- running job that was to be aborted fails instead. Where another job waits under the same queueing lock, a
-- running job fails, too, and a job that had ended stays as it is. Never raises a unique violation.
--
-- A job that had ended, or that a person sends back, has a fresh retry budget: as many attempts as a new job of its task,
-- or p_attempts. One that its worker sends back keeps what it has left.
CREATE OR REPLACE FUNCTION {schema}.postpone_requeue_job(
    p_job_id bigint, from_statuses {schema}.procrastinate_job_status[], retry_at timestamptz, new_priority integer,
    new_queue_name varchar, new_lock text, p_attempts integer DEFAULT NULL)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    before {schema}.procrastinate_jobs;
    violated text;
    waiting_id bigint;
    attempts_then integer;
    is_fresh boolean;
BEGIN
    IF p_attempts < 1 THEN
        RAISE 'A job that is to run again has at least one attempt, not %', p_attempts
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO before FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = p_job_id AND job.status = ANY (from_statuses)
    FOR NO KEY UPDATE;
    IF NOT FOUND AND from_statuses = '{doing}' THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', p_job_id;
    ELSIF NOT FOUND THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', p_job_id;
    END IF;
    IF before.status = 'doing' AND before.abort_requested THEN
        PERFORM {schema}.postpone_fail_running_job(p_job_id);
        RETURN QUERY SELECT p_job_id, 'recorded', NULL::bigint, 'failed'::{schema}.procrastinate_job_status;
        RETURN;
    END IF;

    attempts_then := CASE WHEN before.status IN ('doing', 'failed') THEN {schema}.postpone_next_attempt(before.attempts)
                          ELSE before.attempts END;
    -- Only people let jobs wait again that were cancelled.
    is_fresh := before.status <> 'doing' OR 'cancelled' = ANY (from_statuses);
    FOR round IN 1 .. 10 LOOP
        BEGIN
            RETURN QUERY
            UPDATE {schema}.procrastinate_jobs AS job
            SET status = 'todo',
                attempts = attempts_then,
                uncounted_attempts = CASE WHEN is_fresh THEN attempts_then ELSE job.uncounted_attempts END,
                attempts_allowed = CASE WHEN is_fresh THEN p_attempts ELSE job.attempts_allowed END,
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
            waiting_id := {schema}.postpone_waiting_instead_of(p_job_id);
        END;
        EXIT WHEN waiting_id IS NOT NULL;
    END LOOP;
    IF waiting_id IS NULL THEN
        PERFORM {schema}.postpone_refuse_to_wait(p_job_id);
    END IF;

    IF before.status = 'doing' THEN
        PERFORM {schema}.postpone_fail_running_job(p_job_id);
        INSERT INTO {schema}.postpone_attempts AS known (job_id, attempt, cause, message, worker_id, superseded_by)
        VALUES (p_job_id, {schema}.postpone_next_attempt(before.attempts), 'superseded',
                'superseded by job ' || waiting_id, before.worker_id, waiting_id)
        ON CONFLICT ON CONSTRAINT postpone_attempts_pkey DO UPDATE
        SET (cause, message, superseded_by) = (excluded.cause, excluded.message, excluded.superseded_by);
        before.status := 'failed';
    END IF;
    RETURN QUERY SELECT p_job_id, 'superseded', waiting_id, before.status;
END
$$;

-- For people: makes a job that ended without success wait again, with a fresh retry budget. The row returned says what
-- became of it.
CREATE OR REPLACE FUNCTION {schema}.postpone_retry_job(
    p_job_id bigint, retry_at timestamptz DEFAULT NULL, new_priority integer DEFAULT NULL,
    new_queue_name text DEFAULT NULL, new_lock text DEFAULT NULL, p_attempts integer DEFAULT NULL)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM {schema}.postpone_requeue_job(
        p_job_id, '{doing,failed,cancelled,aborted}', retry_at, new_priority, new_queue_name, new_lock, p_attempts);
END
$$;

CREATE OR REPLACE FUNCTION {schema}.procrastinate_retry_job_v1(
    job_id bigint, retry_at timestamptz, new_priority integer, new_queue_name varchar, new_lock varchar)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.postpone_requeue_job(job_id, '{doing}', retry_at, new_priority, new_queue_name, new_lock);
END
$$;

CREATE OR REPLACE FUNCTION {schema}.procrastinate_retry_job_v2(
    job_id bigint, retry_at timestamptz, new_priority integer, new_queue_name varchar, new_lock varchar)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.postpone_requeue_job(job_id, '{doing,failed}', retry_at, new_priority, new_queue_name, new_lock);
END
$$;

-- Ends those of these jobs that wait and are claimed by nobody (claims.sql) as cancelled, or deletes them. Returns them.
CREATE OR REPLACE FUNCTION {schema}.postpone_cancel_waiting(p_job_ids bigint[], delete_jobs boolean) RETURNS SETOF bigint
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    held bigint[] := {schema}.postpone_hold_waiting(p_job_ids);
BEGIN
    IF delete_jobs THEN
        RETURN QUERY DELETE FROM {schema}.procrastinate_jobs WHERE id = ANY (held) AND status::text = 'todo' RETURNING id;
    ELSE
        RETURN QUERY
        UPDATE {schema}.procrastinate_jobs SET status = 'cancelled' WHERE id = ANY (held) AND status::text = 'todo'
        RETURNING id;
    END IF;
END
$$;

-- The id when the job was cancelled (or deleted), or asked to stop; null when neither applies.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found_id bigint;
BEGIN
    found_id := (SELECT {schema}.postpone_cancel_waiting(ARRAY[job_id], delete_job));
    IF found_id IS NULL AND abort THEN
        UPDATE {schema}.procrastinate_jobs SET abort_requested = true WHERE id = job_id AND status = 'doing'
        RETURNING id INTO found_id;
    END IF;
    RETURN found_id;
END
$$;
