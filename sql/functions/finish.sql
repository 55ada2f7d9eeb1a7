-- Finish: what becomes of a job that was run. For Python's workers (procrastinate_*) and for ours (postpone_*). Plans
-- are pinned as in fetch.sql.

-- The number of the attempt that comes after so many; it stays at the greatest that the column holds.
CREATE OR REPLACE FUNCTION {schema}.postpone_next_attempt(attempts integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN attempts < 2147483647 THEN attempts + 1 ELSE attempts END
$$;

-- The status that a job ends with; null for what does not end it.
CREATE OR REPLACE FUNCTION {schema}.postpone_end_status(action {schema}.postpone_action)
RETURNS {schema}.procrastinate_job_status
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE action WHEN 'succeed' THEN 'succeeded'::{schema}.procrastinate_job_status
                       WHEN 'fail' THEN 'failed' WHEN 'abort' THEN 'aborted' END
$$;

-- Applies outcomes (see postpone_finish_jobs) as one set, and says what became of each, in their order. Only jobs
-- that this worker holds, in the attempt that the outcome speaks of, are touched. A job that goes back to waiting
-- may violate the queueing lock's unique index: that is for the caller. What the worker has claimed is settled as a rule
-- (claims.sql); what cannot be settled ends from `todo`.
CREATE OR REPLACE FUNCTION {schema}.postpone_apply_outcomes(p_worker_id bigint, outcomes jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    -- Most outcomes end their jobs. The events and notifications of those are known here; what becomes of a job that
    -- waits again, only the update trigger knows.
    sends_back boolean := outcomes @? '$[*] ? (@.action == "retry" || @.action == "release")';
    writes_events boolean := NOT sends_back;
    deletes boolean := outcomes @? '$[*] ? (@.delete_job == true)';
    deleted_ids bigint[] := '{}';
    recorded_ids bigint[] := '{}';
    gives boolean := outcomes @? '$[*] ? (exists (@.result) || exists (@.progress))';
    giver_ids bigint[] := '{}';
    former text;
    freed_lock text;
    freed_locks text[];
BEGIN
    IF deletes THEN
        deleted_ids := (
            SELECT {schema}.postpone_delete_running_jobs(
                p_worker_id, array_agg(outcome.job_id), array_agg(outcome.attempt))
            FROM jsonb_to_recordset(outcomes) AS outcome (
                job_id bigint, attempt integer, action {schema}.postpone_action, delete_job boolean)
            WHERE outcome.delete_job AND {schema}.postpone_end_status(outcome.action) IS NOT NULL);
        IF cardinality(deleted_ids) = jsonb_array_length(outcomes) THEN
            RETURN QUERY
            SELECT outcome.job_id, 'recorded', NULL::bigint, {schema}.postpone_end_status(outcome.action)
            FROM jsonb_to_recordset(outcomes) AS outcome (job_id bigint, action {schema}.postpone_action);
            RETURN;
        END IF;
    END IF;
    IF writes_events THEN
        former := {schema}.postpone_skip_update_trigger();
        writes_events := former IS NOT NULL;
    END IF;
    FOR job_id, disposition, by_job_id, status, freed_lock IN
    WITH outcome AS MATERIALIZED (
        SELECT *
        FROM ROWS FROM (jsonb_to_recordset(outcomes) AS (
            job_id bigint, attempt integer, action {schema}.postpone_action, delete_job boolean, retry_in double precision,
            new_priority integer, new_queue varchar, new_lock text, cause {schema}.postpone_cause, exception_type text,
            message text, signal integer, exit_status integer, stderr_tail text, run_time double precision,
            cpu_time double precision, max_rss bigint, superseded_by bigint, omit_events boolean, omit_attempt boolean, uncounted boolean))
            WITH ORDINALITY
    ), decided AS (
        UPDATE {schema}.procrastinate_jobs AS job
        SET status = coalesce({schema}.postpone_end_status(outcome.action), CASE
                -- An abort was requested: the job does not wait again.
                WHEN NOT job.abort_requested THEN 'todo'
                WHEN outcome.action = 'retry' THEN 'failed'
                ELSE 'cancelled'
            END::{schema}.procrastinate_job_status),
            attempts = CASE outcome.action WHEN 'release' THEN job.attempts
                                           ELSE {schema}.postpone_next_attempt(job.attempts) END,
            uncounted_attempts = CASE WHEN outcome.uncounted AND outcome.action = 'retry'
                THEN {schema}.postpone_next_attempt(job.uncounted_attempts) ELSE job.uncounted_attempts END,
            scheduled_at = CASE WHEN outcome.action = 'retry' AND NOT job.abort_requested
                THEN now() + {schema}.postpone_seconds(coalesce(outcome.retry_in, 0)) ELSE job.scheduled_at END,
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
        WHERE job.id = outcome.job_id AND {schema}.postpone_next_attempt(job.attempts) = outcome.attempt
          -- A plan that is made while the table is empty begins with the jobs, and a session keeps it: without this it
          -- would walk through all of them from then on.
          AND job.id = ANY (ARRAY(SELECT job_id FROM outcome))
          -- Spelled so that no index on status or worker_id fits: in those, every job that is running, or was since
          -- the table was vacuumed, has left an entry.
          AND (job.status::text = 'doing' AND job.worker_id IS NOT DISTINCT FROM p_worker_id
               OR job.status::text = 'todo'
                   AND (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1)
                       = p_worker_id)
        RETURNING outcome.ordinality, outcome.omit_events, job.id, job.status, job.lock
    ), events AS (
        INSERT INTO {schema}.procrastinate_events (job_id, type)
        -- These events are called as the statuses are.
        SELECT id, decided.status::text::{schema}.procrastinate_job_event_type FROM decided
        WHERE writes_events AND omit_events IS NOT TRUE
    ), kept AS (
        INSERT INTO {schema}.postpone_attempts (
            job_id, attempt, cause, exception_type, message, signal, exit_status, stderr_tail, run_time, cpu_time,
            max_rss, worker_id, worker_name, superseded_by)
        SELECT outcome.job_id, outcome.attempt,
               coalesce(outcome.cause, CASE outcome.action
                   WHEN 'succeed' THEN 'succeeded'
                   WHEN 'abort' THEN 'aborted'
                   ELSE 'exception' END::{schema}.postpone_cause),
               outcome.exception_type, outcome.message, outcome.signal, outcome.exit_status, outcome.stderr_tail,
               outcome.run_time, outcome.cpu_time, outcome.max_rss, p_worker_id,
               (SELECT name FROM {schema}.postpone_workers WHERE worker_id = p_worker_id), outcome.superseded_by
        FROM outcome JOIN decided USING (ordinality)
        WHERE outcome.action <> 'release' AND NOT (outcome.omit_attempt IS TRUE AND outcome.action = 'succeed')
        -- The number exists already: a person has set `attempts` back. The later attempt counts.
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
               WHEN decided.id IS NOT NULL OR outcome.job_id = ANY (deleted_ids) THEN 'recorded'
               -- No attempt says by whom. But a rescue that decided otherwise has ended the lease. (With a LIMIT it is an
               -- index probe, where EXISTS may become a walk through all that succeeded.)
               WHEN outcome.omit_attempt IS TRUE AND outcome.action = 'succeed' AND (
                   SELECT job.id FROM {schema}.procrastinate_jobs AS job
                   WHERE job.id = outcome.job_id AND job.status::text = 'succeeded' AND job.attempts = outcome.attempt
                   LIMIT 1) IS NOT NULL AND (
                   SELECT worker.id FROM {schema}.procrastinate_workers AS worker
                   WHERE worker.id = p_worker_id LIMIT 1) IS NOT NULL
                   THEN 'already_recorded'
               WHEN outcome.action <> 'release' AND EXISTS (
                   SELECT FROM {schema}.postpone_attempts AS known
                   WHERE known.job_id = outcome.job_id AND known.attempt = outcome.attempt
                     AND known.worker_id = p_worker_id
                     -- A rescue notes the same lease: what it decided is not what this outcome says.
                     AND (known.cause NOT IN ('worker_lost', 'poison', 'superseded') OR known.cause = outcome.cause
                          OR known.cause = 'superseded' AND outcome.action = 'retry'))
                   THEN 'already_recorded'
               ELSE 'gone'
           END,
           CASE WHEN decided.id IS NOT NULL THEN outcome.superseded_by END,
           coalesce(decided.status,
                    CASE WHEN outcome.job_id = ANY (deleted_ids) THEN {schema}.postpone_end_status(outcome.action) END,
                    (SELECT job.status FROM {schema}.procrastinate_jobs AS job WHERE job.id = outcome.job_id)),
           decided.lock
    FROM outcome LEFT JOIN decided USING (ordinality)
    ORDER BY outcome.ordinality
    LOOP
        RETURN NEXT;
        IF deletes AND disposition = 'recorded' THEN
            recorded_ids := recorded_ids || job_id;
        END IF;
        IF gives AND disposition IN ('recorded', 'superseded') THEN
            giver_ids := giver_ids || job_id;
        END IF;
        IF freed_lock IS NOT NULL THEN
            freed_locks := freed_locks || freed_lock;
        END IF;
    END LOOP;
    IF sends_back THEN
        PERFORM set_config('postpone.fetch_from_top', 'yes', true);
    END IF;
    IF writes_events THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
        IF freed_locks IS NOT NULL THEN
            PERFORM {schema}.postpone_announce_successors(freed_locks);
        END IF;
    END IF;

    IF gives THEN
        PERFORM {schema}.postpone_store_results(outcomes, giver_ids);
    END IF;
    IF deletes THEN
        PERFORM {schema}.postpone_delete_ended_jobs(p_worker_id, outcomes, recorded_ids);
    END IF;
END
$$;

-- Creates the jobs that a handler deferred, except those whose queueing lock is taken: the job that waits
-- under it stands for them. Those without a meta get the inherited one; an empty meta is none.
CREATE OR REPLACE FUNCTION {schema}.postpone_defer_followers(defers jsonb, inherited_meta jsonb, p_deferred_by bigint)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.procrastinate_jobs (
        queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, meta, deferred_by)
    SELECT coalesce(queue, 'default'), task, coalesce(priority, 0), lock, queueing_lock, coalesce(args, '{}'),
           CASE WHEN delay > 0 THEN now() + {schema}.postpone_seconds(delay) END,
           nullif(coalesce(job.meta, inherited_meta), '{}'), p_deferred_by
    FROM jsonb_to_recordset(defers) AS job (
        task varchar, args jsonb, queue varchar, priority integer, lock text, queueing_lock text,
        delay double precision, meta jsonb)
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING;
END
$$;

-- The job that waits under the queueing lock of this one.
CREATE OR REPLACE FUNCTION {schema}.postpone_waiting_instead_of(p_job_id bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT waiting.id
            FROM {schema}.procrastinate_jobs AS job
            JOIN {schema}.procrastinate_jobs AS waiting
                ON waiting.queueing_lock = job.queueing_lock AND waiting.status = 'todo'
            WHERE job.id = p_job_id);
END
$$;

-- Under REPEATABLE READ the job that holds the queueing lock may stay invisible: the transaction is to be tried again.
CREATE OR REPLACE FUNCTION {schema}.postpone_refuse_to_wait(p_job_id bigint) RETURNS void
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
CREATE OR REPLACE FUNCTION {schema}.postpone_apply_outcome(p_worker_id bigint, outcome jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
DECLARE
    violated text;
    waiting_id bigint;
    at_followers boolean := false;  -- what raised: the jobs that it deferred, or the outcome itself?
BEGIN
    FOR round IN 1 .. 10 LOOP
        BEGIN
            SELECT * INTO job_id, disposition, by_job_id, status
            FROM {schema}.postpone_apply_outcomes(p_worker_id, jsonb_build_array(outcome));
            IF disposition = 'recorded' AND status = 'succeeded' AND outcome ? 'defers' THEN
                at_followers := true;
                PERFORM {schema}.postpone_defer_followers(outcome -> 'defers', outcome -> 'inherited_meta', job_id);
            END IF;
            RETURN NEXT;
            RETURN;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF {schema}.postpone_is_passing(sqlstate) THEN
                RAISE;
            ELSIF at_followers THEN
                -- A success whose deferred jobs cannot be stored is none.
                at_followers := false;
                outcome := outcome - ARRAY['defers', 'inherited_meta', 'delete_job'] || jsonb_build_object(
                    'action', 'fail', 'cause', 'exception',
                    'message', format('the jobs it deferred were refused: %s (SQLSTATE %s)', sqlerrm, sqlstate));
            ELSIF violated = 'procrastinate_jobs_queueing_lock_idx_v1' THEN
                waiting_id := {schema}.postpone_waiting_instead_of((outcome ->> 'job_id')::bigint);
                IF waiting_id IS NOT NULL THEN
                    outcome := outcome - ARRAY['retry_in', 'new_priority', 'new_queue', 'new_lock', 'delete_job']
                        || jsonb_build_object(
                            'action', 'fail', 'cause', 'superseded', 'superseded_by', waiting_id, 'message',
                            concat_ws(': ', 'superseded by job ' || waiting_id, nullif(outcome ->> 'message', '')));
                END IF;
            ELSE
                RAISE;
            END IF;
        END;
    END LOOP;
    PERFORM {schema}.postpone_refuse_to_wait((outcome ->> 'job_id')::bigint);
END
$$;

-- Records how jobs ended. `outcomes` is an array of objects, one per job; docs/sql.md lists their fields.
-- Returns one row for each, in their order (but claimed ones that are released come first), with a disposition:
--   recorded          as asked
--   superseded        the job was to wait again, but job `by_job_id` waits under its queueing lock: it failed
--   already_recorded  by an earlier commit, whose answer was lost
--   gone              the job is no longer this worker's
--
-- It locks the worker's row before its jobs, as postpone_rescue_worker does, so that the two cannot deadlock.
--
-- For a worker whose lease has ended it deletes no job: a rescue has decided its jobs, perhaps as failed, and
-- an outcome that comes late knows nothing of that.
CREATE OR REPLACE FUNCTION {schema}.postpone_finish_jobs(p_worker_id bigint, outcomes jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
DECLARE
    released bigint[] := '{}';
    ended bigint[];
    unsettled bigint[] := '{}';
BEGIN
    IF p_worker_id IS NULL THEN
        RAISE EXCEPTION 'postpone_finish_jobs: the worker id is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF outcomes IS NULL OR outcomes = '[]' THEN
        RETURN;
    END IF;
    PERFORM FROM {schema}.procrastinate_workers WHERE id = p_worker_id FOR KEY SHARE;
    IF NOT FOUND THEN
        outcomes := (SELECT jsonb_agg(value - 'delete_job' ORDER BY ordinality)
                     FROM jsonb_array_elements(outcomes) WITH ORDINALITY);
    END IF;

    IF EXISTS (SELECT FROM {schema}.postpone_claims AS claim WHERE claim.worker_id = p_worker_id) THEN
        FOR job_id, disposition, by_job_id, status IN
        SELECT * FROM {schema}.postpone_release_claims(p_worker_id, ARRAY(
            SELECT (value ->> 'job_id')::bigint FROM jsonb_array_elements(outcomes) WHERE value ->> 'action' = 'release'))
        LOOP
            RETURN NEXT;
            released := released || job_id;
        END LOOP;
        outcomes := (SELECT jsonb_agg(value ORDER BY ordinality) FROM jsonb_array_elements(outcomes) WITH ORDINALITY
                     WHERE (value ->> 'job_id')::bigint = ANY (released) IS NOT TRUE);
        IF outcomes IS NULL THEN
            RETURN;
        END IF;
        ended := {schema}.postpone_claims_of(
            p_worker_id, ARRAY(SELECT (value ->> 'job_id')::bigint FROM jsonb_array_elements(outcomes)));
        PERFORM {schema}.postpone_settle_claims(p_worker_id, ended);
        unsettled := {schema}.postpone_claims_of(p_worker_id, ended);
    END IF;
    RETURN QUERY SELECT * FROM {schema}.postpone_finish_held(p_worker_id, outcomes);
    IF unsettled = '{}' THEN
        RETURN;
    END IF;
    -- Nearly never is there one: a claim that outlives its job's attempt would keep everybody away from the job.
    DELETE FROM {schema}.postpone_claims AS claim WHERE claim.job_id = ANY (unsettled) AND claim.worker_id = p_worker_id;
END
$$;

-- Records outcomes of jobs that the worker holds: all at once, or, where one may take a second try, one by one.
CREATE OR REPLACE FUNCTION {schema}.postpone_finish_held(p_worker_id bigint, outcomes jsonb)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql AS $$
DECLARE
    outcome jsonb;
BEGIN
    IF NOT outcomes @? '$[*] ? (@.action == "retry" || @.action == "release" || exists (@.defers[*]))' THEN
        RETURN QUERY SELECT * FROM {schema}.postpone_apply_outcomes(p_worker_id, outcomes);
        RETURN;
    END IF;
    IF NOT outcomes @? '$[*].defers[*]' THEN
        BEGIN
            RETURN QUERY SELECT * FROM {schema}.postpone_apply_outcomes(p_worker_id, outcomes);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            NULL;  -- One of them collides: one by one.
        END;
    END IF;
    FOR outcome IN SELECT value FROM jsonb_array_elements(outcomes) LOOP
        RETURN QUERY SELECT * FROM {schema}.postpone_apply_outcome(p_worker_id, outcome);
    END LOOP;
END
$$;

-- Python's finish. It keeps worker_id.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_finish_job_v1(
    job_id bigint, end_status {schema}.procrastinate_job_status, delete_job boolean)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF end_status IS NULL OR end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        -- Clients look for these words.
        RAISE 'A job does not end as %. End status should be either "succeeded", "failed" or "aborted" (job id: %)',
            end_status, job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM {schema}.procrastinate_jobs WHERE id = job_id AND status IN ('todo', 'doing');
    ELSE
        UPDATE {schema}.procrastinate_jobs
        SET status = end_status, abort_requested = false,
            attempts = CASE WHEN status = 'doing' THEN {schema}.postpone_next_attempt(attempts) ELSE attempts END
        WHERE id = job_id AND status IN ('todo', 'doing');
    END IF;
    IF NOT FOUND THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END
$$;
