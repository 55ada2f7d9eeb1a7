-- Stalled jobs: those in `doing` whose worker is gone or silent. Found, rescued, reported, finished by hand.
--
-- A session that decides a job from outside locks the row of its worker first and the job after it, as
-- finish, heartbeat and rescue do. So no two sessions deadlock, and a worker that was found silent stays so
-- until commit.
--
-- Plans are pinned as in fetch.sql. That holds for what is called from here too, the actions of foreign keys included.
-- postpone_rescue_job and postpone_finish_by_hand hold the row of a worker while they wait for a job that another
-- transaction has locked, and that worker gets no heartbeats meanwhile: so they do not wait for long (lock_timeout).

-- ------------------------------------------------------------------------------------------------ what is stalled

-- Jobs in `doing` without a worker, or with one that has been silent for so many seconds.
--   is_foreign   not run by one of our workers: its worker has no row in postpone_workers, or is not known
--   is_reported  its worker is dead, and a rescue left it to people: its attempt stands in postpone_attempts already
CREATE OR REPLACE FUNCTION {schema}.postpone_stalled_jobs(silent_for double precision)
RETURNS TABLE (job_id bigint, task_name varchar, queue_name varchar, lock text, attempts integer,
               started_at timestamptz, worker_id bigint, worker_name text, host text, supervisor text,
               last_heartbeat timestamptz, is_foreign boolean, is_reported boolean)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    silent_ids bigint[] := ARRAY(
        SELECT worker.id
        FROM {schema}.procrastinate_workers AS worker
        WHERE worker.last_heartbeat < now() - {schema}.postpone_seconds(silent_for));
BEGIN
    RETURN QUERY
    WITH stalled AS MATERIALIZED (
        SELECT job.*
        FROM {schema}.procrastinate_jobs AS job
        WHERE job.status = 'doing' AND job.worker_id IS NULL
        UNION ALL
        -- array_position, not ANY: Python's jobs keep their worker when they have ended, and its index has all of them.
        SELECT job.*
        FROM {schema}.procrastinate_jobs AS job
        WHERE cardinality(silent_ids) > 0
          AND job.status = 'doing' AND array_position(silent_ids, job.worker_id) IS NOT NULL
    )
    SELECT job.id, job.task_name, job.queue_name, job.lock, job.attempts,
           (SELECT max(event.at) FROM {schema}.procrastinate_events AS event
            WHERE event.job_id = job.id AND event.type = 'started'),
           job.worker_id, coalesce(ours.name, lost.worker_name), ours.host, ours.supervisor, worker.last_heartbeat,
           ours.worker_id IS NULL AND lost.job_id IS NULL, lost.job_id IS NOT NULL
    FROM stalled AS job
    -- With a LIMIT each is one index probe, and cannot become a walk through the whole table, however small that was
    -- when the plan was made.
    LEFT JOIN LATERAL (SELECT last_heartbeat FROM {schema}.procrastinate_workers WHERE id = job.worker_id LIMIT 1)
        AS worker ON true
    LEFT JOIN LATERAL (SELECT * FROM {schema}.postpone_workers AS held WHERE held.worker_id = job.worker_id LIMIT 1)
        AS ours ON true
    LEFT JOIN LATERAL (
        SELECT ended.job_id, ended.worker_name
        FROM {schema}.postpone_attempts AS ended
        WHERE job.worker_id IS NULL AND ended.job_id = job.id
          AND ended.attempt = {schema}.postpone_next_attempt(job.attempts)
          AND ended.cause = 'worker_lost'
        LIMIT 1) AS lost ON true
    ORDER BY job.id;
END
$$;

-- ------------------------------------------------------------------------------------------------ rescue

-- The outcome (see postpone_finish_jobs) of a job that was running when its worker died. Limited to max_stalled lost
-- workers, null for no limit.
CREATE OR REPLACE FUNCTION {schema}.postpone_stalled_outcome(
    job {schema}.procrastinate_jobs, stalled_action text, max_stalled integer, message text)
RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    is_poison boolean := stalled_action = 'retry' AND max_stalled <= (
        SELECT count(*) FROM {schema}.postpone_attempts AS lost
        WHERE lost.job_id = job.id AND lost.attempt <= job.attempts AND lost.cause = 'worker_lost');
BEGIN
    RETURN jsonb_build_object('job_id', job.id, 'attempt', {schema}.postpone_next_attempt(job.attempts), 'message', message)
        || CASE WHEN is_poison THEN '{"action": "fail", "cause": "poison"}'
                ELSE jsonb_build_object('action', stalled_action, 'cause', 'worker_lost') END;
END
$$;

-- Ends the lease of a dead worker, in one transaction. First it locks the worker's row, so that it waits for
-- a fetch of that worker that is still in flight (which holds the row by the foreign key). At last it deletes
-- the row, so that any later fetch fails and any later finish matches nothing. In between it decides all jobs
-- of the worker:
--   by `outcomes`, where it is known how they ended (as postpone_finish_jobs);
--   released, when `running` is given and they are not among it: they were never started;
--   else by stalled_action: `retry` (waits again at once; failed when it has lost max_stalled workers before),
--   `fail`, or `report` (stays in `doing`, without a worker, for people to decide; the attempt is noted as lost).
-- With silent_for only if the worker had no heartbeat for so many seconds: a worker that was taken for dead
-- may have woken up since. No rows when it has, or when another session has ended the lease first.
CREATE OR REPLACE FUNCTION {schema}.postpone_rescue_worker(
    p_worker_id bigint, outcomes jsonb, stalled_action text, max_stalled integer, message text,
    running bigint[] DEFAULT NULL, silent_for double precision DEFAULT NULL)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    undecided jsonb;
    unsettled bigint[];
BEGIN
    IF stalled_action IS NULL OR stalled_action NOT IN ('retry', 'fail', 'report') THEN
        RAISE EXCEPTION 'postpone_rescue_worker: stalled_action is retry, fail or report, not %', stalled_action
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM {schema}.procrastinate_workers
    WHERE id = p_worker_id
      AND (silent_for IS NULL OR last_heartbeat < now() - {schema}.postpone_seconds(silent_for))
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM {schema}.postpone_finish_jobs(p_worker_id, outcomes);

    -- What it had claimed and not begun only has to be claimed no more.
    PERFORM {schema}.postpone_settle_claims(p_worker_id, running);
    IF running IS NOT NULL THEN
        RETURN QUERY SELECT * FROM {schema}.postpone_release_claims(
            p_worker_id, ARRAY(SELECT claim FROM unnest({schema}.postpone_claims_of(p_worker_id)) AS claim
                               WHERE claim <> ALL (running)));
    END IF;
    unsettled := {schema}.postpone_claims_of(p_worker_id);

    SELECT jsonb_agg(
        CASE WHEN was_running THEN {schema}.postpone_stalled_outcome(job, stalled_action, max_stalled, message)
             ELSE jsonb_build_object('job_id', job.id, 'attempt', {schema}.postpone_next_attempt(job.attempts),
                                     'action', 'release')
        END ORDER BY job.id)
    INTO undecided
    FROM {schema}.procrastinate_jobs AS job
    CROSS JOIN LATERAL (SELECT running IS NULL OR job.id = ANY (running) AS was_running) AS history
    WHERE job.worker_id = p_worker_id AND job.status = 'doing'
      AND NOT (was_running AND stalled_action = 'report');
    RETURN QUERY SELECT * FROM {schema}.postpone_finish_jobs(p_worker_id, undecided);

    -- What has run and cannot be put into `doing` (rules of the application) cannot be left there for people: it fails.
    IF unsettled <> '{}' THEN
        RETURN QUERY SELECT * FROM {schema}.postpone_finish_jobs(p_worker_id, (
            SELECT jsonb_agg({schema}.postpone_stalled_outcome(
                job, CASE stalled_action WHEN 'report' THEN 'fail' ELSE stalled_action END, max_stalled, message) ORDER BY job.id)
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = ANY (unsettled)));
    END IF;

    RETURN QUERY
    WITH reported AS (
        -- Without the lease: an outcome that comes late is `gone`, and not taken for one that was recorded.
        INSERT INTO {schema}.postpone_attempts AS known (job_id, attempt, cause, message, worker_name)
        SELECT job.id, {schema}.postpone_next_attempt(job.attempts), 'worker_lost', message,
               (SELECT name FROM {schema}.postpone_workers WHERE worker_id = p_worker_id)
        FROM {schema}.procrastinate_jobs AS job
        WHERE job.worker_id = p_worker_id AND job.status = 'doing'
        -- Else who deletes the job at this moment would not see the attempt, which stayed behind (references.sql).
        FOR NO KEY UPDATE OF job
        ON CONFLICT ON CONSTRAINT postpone_attempts_pkey DO UPDATE
        SET (cause, message, worker_id, worker_name, ended_at)
          = (excluded.cause, excluded.message, excluded.worker_id, excluded.worker_name, excluded.ended_at)
        RETURNING known.job_id
    )
    SELECT reported.job_id, 'reported', NULL::bigint, 'doing'::{schema}.procrastinate_job_status
    FROM reported;

    DELETE FROM {schema}.procrastinate_workers WHERE id = p_worker_id;
END
$$;

-- ------------------------------------------------------------------------------------------------ job by job

-- Locks a running job, and the row of its worker before it. The job as it is then: of another status when it does not
-- run (any more), and not locked then; null when there is none.
CREATE OR REPLACE FUNCTION {schema}.postpone_lock_running_job(p_job_id bigint) RETURNS {schema}.procrastinate_jobs
LANGUAGE plpgsql AS $$
DECLARE
    seen {schema}.procrastinate_jobs;
    locked {schema}.procrastinate_jobs;
BEGIN
    -- One that is claimed runs, too.
    PERFORM {schema}.postpone_settle_jobs(ARRAY[p_job_id]);
    FOR round IN 1 .. 10 LOOP
        SELECT * INTO seen FROM {schema}.procrastinate_jobs WHERE id = p_job_id;
        IF seen.status IS DISTINCT FROM 'doing' THEN
            RETURN seen;
        END IF;
        PERFORM FROM {schema}.procrastinate_workers WHERE id = seen.worker_id FOR NO KEY UPDATE;
        SELECT * INTO locked
        FROM {schema}.procrastinate_jobs
        WHERE id = p_job_id AND status = 'doing' AND worker_id IS NOT DISTINCT FROM seen.worker_id
        FOR NO KEY UPDATE;
        IF FOUND THEN
            RETURN locked;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'job % changes hands all the time', p_job_id USING ERRCODE = 'serialization_failure';
END
$$;

-- Whether the worker of a job that is locked as above has shown a sign of life within so many seconds.
CREATE OR REPLACE FUNCTION {schema}.postpone_is_alive(p_worker_id bigint, silent_for double precision) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM {schema}.procrastinate_workers
        WHERE id = p_worker_id AND last_heartbeat >= now() - {schema}.postpone_seconds(silent_for));
END
$$;

-- The answer about a job that is locked as above and left as it is: `gone` when it does not run, `still_running` when
-- its worker counts as alive. No row for a job that may be decided.
CREATE OR REPLACE FUNCTION {schema}.postpone_reason_to_leave(job {schema}.procrastinate_jobs, is_alive boolean)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
BEGIN
    IF job.status <> 'doing' OR is_alive THEN
        RETURN QUERY
        SELECT job.id, CASE WHEN job.status = 'doing' THEN 'still_running' ELSE 'gone' END, NULL::bigint, job.status;
    END IF;
END
$$;

-- Applies an outcome to a job in `doing`, for any worker or none. Keeps what a rescue noted when it reported
-- the job.
CREATE OR REPLACE FUNCTION {schema}.postpone_decide_job(job {schema}.procrastinate_jobs, outcome jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    reported {schema}.postpone_attempts;
BEGIN
    SELECT * INTO reported
    FROM {schema}.postpone_attempts AS lost
    WHERE job.worker_id IS NULL AND lost.job_id = job.id AND lost.attempt = {schema}.postpone_next_attempt(job.attempts)
      AND lost.cause = 'worker_lost';
    RETURN QUERY SELECT * FROM {schema}.postpone_apply_outcome(job.worker_id, outcome || jsonb_build_object(
        'job_id', job.id, 'attempt', {schema}.postpone_next_attempt(job.attempts),
        'message', concat_ws('; ', reported.message, outcome ->> 'message')));
    UPDATE {schema}.postpone_attempts AS ended
    SET worker_name = reported.worker_name
    WHERE ended.job_id = reported.job_id AND ended.attempt = reported.attempt;
END
$$;

-- Rescues one job whose worker is gone or has been silent for so many seconds. One of our workers loses its lease
-- then, and all its jobs are decided with this one, as by postpone_rescue_worker: should it wake up, it must not run
-- on. A foreign worker keeps its row, which Python prunes: every job that it has ever finished points there.
-- still_running: the worker is alive; gone: the job does not run. No rows when there is no such job.
CREATE OR REPLACE FUNCTION {schema}.postpone_rescue_job(
    p_job_id bigint, stalled_action text, max_stalled integer, silent_for double precision, message text)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    our_worker_id bigint;
    job {schema}.procrastinate_jobs;
BEGIN
    IF stalled_action IS NULL OR stalled_action NOT IN ('retry', 'fail') THEN
        RAISE EXCEPTION 'postpone_rescue_job: stalled_action is retry or fail, not %', stalled_action
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF silent_for IS NULL THEN
        RAISE EXCEPTION 'postpone_rescue_job: silent_for is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT ours.worker_id INTO our_worker_id
    FROM {schema}.postpone_workers AS ours
    WHERE ours.worker_id = coalesce(
        (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = p_job_id LIMIT 1),
        (SELECT leased.worker_id FROM {schema}.procrastinate_jobs AS leased
         WHERE leased.id = p_job_id AND leased.status::text = 'doing' LIMIT 1));
    IF FOUND THEN
        RETURN QUERY SELECT * FROM {schema}.postpone_rescue_worker(
            our_worker_id, '[]', stalled_action, max_stalled, message, NULL, silent_for);
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    job := {schema}.postpone_lock_running_job(p_job_id);
    IF job.id IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM {schema}.postpone_reason_to_leave(
        job, {schema}.postpone_is_alive(job.worker_id, silent_for));
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM {schema}.postpone_decide_job(
            job, {schema}.postpone_stalled_outcome(job, stalled_action, max_stalled, message));
    END IF;
END
$$;

-- Ends a job that no worker runs any more, as succeeded or failed, and so releases its lock. Refused
-- (still_running) while its worker has had a heartbeat within so many seconds, unless forced; gone: the job
-- does not run. No rows when there is no such job.
--
-- A worker that runs it all the same is asked to stop, and its outcome is `gone`: the attempt that is kept
-- names no lease.
CREATE OR REPLACE FUNCTION {schema}.postpone_finish_by_hand(
    p_job_id bigint, end_status {schema}.procrastinate_job_status, silent_for double precision, force boolean)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
    job {schema}.procrastinate_jobs;
    is_alive boolean;
BEGIN
    IF end_status IS NULL OR end_status NOT IN ('succeeded', 'failed') THEN
        RAISE EXCEPTION 'postpone_finish_by_hand: a job ends as succeeded or failed, not as %', end_status
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF silent_for IS NULL THEN
        RAISE EXCEPTION 'postpone_finish_by_hand: silent_for is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    job := {schema}.postpone_lock_running_job(p_job_id);
    IF job.id IS NULL THEN
        RETURN;
    END IF;
    is_alive := {schema}.postpone_is_alive(job.worker_id, silent_for);
    RETURN QUERY SELECT * FROM {schema}.postpone_reason_to_leave(job, is_alive AND force IS NOT TRUE);
    IF FOUND THEN
        RETURN;
    END IF;

    RETURN QUERY SELECT * FROM {schema}.postpone_decide_job(job, jsonb_build_object(
        'action', CASE end_status WHEN 'succeeded' THEN 'succeed' ELSE 'fail' END,
        'cause', 'finished_by_hand',
        'message', 'finished by hand as ' || end_status
                   || CASE WHEN is_alive THEN ', while its worker showed signs of life' ELSE '' END));
    UPDATE {schema}.postpone_attempts AS ended SET worker_id = NULL
    WHERE ended.job_id = job.id AND ended.attempt = {schema}.postpone_next_attempt(job.attempts);
    IF job.worker_id IS NOT NULL THEN
        PERFORM {schema}.postpone_notify(
            job.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', job.id)::text);
    END IF;
END
$$;
