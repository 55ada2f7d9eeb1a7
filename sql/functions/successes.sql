-- Finish, for what nearly all jobs are: successes of which there is nothing more to be said. Their numbers come as arrays,
-- because to read and to write a JSON text for each job costs the server as much as to record it.

-- Records these jobs as succeeded, as postpone_finish_jobs would with an outcome for each: of job_ids[i] ended the attempt
-- p_attempts[i], and so on. Returns a row, as that does, for each job of which that could not be recorded at once; none,
-- nearly always.
CREATE OR REPLACE FUNCTION {schema}.postpone_finish_successes(
    p_worker_id bigint, job_ids bigint[], p_attempts integer[], run_times double precision[],
    cpu_times double precision[], max_rss bigint[], delete_jobs boolean, omit_events boolean, omit_attempts boolean)
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    done_ids bigint[];
BEGIN
    PERFORM FROM {schema}.procrastinate_workers WHERE id = p_worker_id FOR KEY SHARE;
    IF FOUND THEN
        IF delete_jobs THEN
            done_ids := {schema}.postpone_delete_running_jobs(p_worker_id, job_ids, p_attempts);
        ELSE
            done_ids := {schema}.postpone_apply_successes(
                p_worker_id, job_ids, p_attempts, run_times, cpu_times, max_rss, omit_events, omit_attempts);
        END IF;
    END IF;
    IF cardinality(done_ids) = cardinality(job_ids) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT * FROM {schema}.postpone_finish_jobs(p_worker_id, (
        SELECT jsonb_agg(jsonb_build_object(
            'job_id', job_ids[place], 'attempt', p_attempts[place], 'action', 'succeed', 'cause', 'succeeded',
            'run_time', run_times[place], 'cpu_time', cpu_times[place], 'max_rss', max_rss[place],
            'delete_job', delete_jobs, 'omit_events', omit_events, 'omit_attempt', omit_attempts) ORDER BY place)
        FROM generate_subscripts(job_ids, 1) AS place
        WHERE job_ids[place] = ANY (done_ids) IS NOT TRUE));
END
$$;

-- Puts those of these jobs that the worker holds, in these attempts, into `succeeded`, and returns them. The worker's row
-- is locked. Does nothing where the application has a BEFORE UPDATE row trigger (postpone_skip_update_trigger).
CREATE OR REPLACE FUNCTION {schema}.postpone_apply_successes(
    p_worker_id bigint, job_ids bigint[], p_attempts integer[], run_times double precision[],
    cpu_times double precision[], max_rss bigint[], omit_events boolean, omit_attempts boolean)
RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
    former text := {schema}.postpone_skip_update_trigger();
    worker_name text := (SELECT name FROM {schema}.postpone_workers WHERE worker_id = p_worker_id);
    done_ids bigint[];
    freed_locks text[];
BEGIN
    IF former IS NULL THEN
        RETURN '{}';
    END IF;
    WITH ended AS (
        UPDATE {schema}.procrastinate_jobs AS job
        SET status = 'succeeded', attempts = {schema}.postpone_next_attempt(job.attempts), abort_requested = false,
            -- Cleared, so that the end of the lease finds only what is left to rescue.
            worker_id = NULL
        -- No join: a plan of one compares each of these jobs with each.
        WHERE job.id = ANY (job_ids)
          AND {schema}.postpone_next_attempt(job.attempts) = p_attempts[array_position(job_ids, job.id)]
          -- Spelled as in postpone_apply_outcomes.
          AND (job.status::text = 'doing' AND job.worker_id IS NOT DISTINCT FROM p_worker_id
               OR job.status::text = 'todo'
                   AND (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1)
                       = p_worker_id)
        RETURNING job.id, job.lock
    )
    SELECT array_agg(id), array_agg(lock) FILTER (WHERE lock IS NOT NULL) INTO done_ids, freed_locks FROM ended;
    WITH dropped AS (
        DELETE FROM {schema}.postpone_claims AS claim
        WHERE claim.job_id = ANY (done_ids) AND claim.worker_id = p_worker_id
        RETURNING claim.job_id, claim.claimed_at
    ), events AS (
        INSERT INTO {schema}.procrastinate_events (job_id, type, at)
        SELECT job_id, event.type, event.at
        FROM (SELECT job_id, 'started'::{schema}.procrastinate_job_event_type AS type, claimed_at AS at FROM dropped
              UNION ALL
              SELECT job_id, 'succeeded', now() FROM unnest(done_ids) AS job_id) AS event
        WHERE omit_events IS NOT TRUE
    )
    INSERT INTO {schema}.postpone_attempts (
        job_id, attempt, cause, run_time, cpu_time, max_rss, worker_id, worker_name)
    SELECT done.id, p_attempts[place], 'succeeded', run_times[place], cpu_times[place], max_rss[place], p_worker_id,
           worker_name
    FROM unnest(done_ids) AS done (id) CROSS JOIN LATERAL (SELECT array_position(job_ids, done.id) AS place) AS given
    WHERE omit_attempts IS NOT TRUE
    -- The number exists already: a person has set `attempts` back. The later attempt counts.
    ON CONFLICT ON CONSTRAINT postpone_attempts_pkey DO UPDATE
    SET (cause, exception_type, message, signal, exit_status, stderr_tail, run_time, cpu_time, max_rss,
         worker_id, worker_name, superseded_by, ended_at)
      = (excluded.cause, excluded.exception_type, excluded.message, excluded.signal, excluded.exit_status,
         excluded.stderr_tail, excluded.run_time, excluded.cpu_time, excluded.max_rss,
         excluded.worker_id, excluded.worker_name, excluded.superseded_by, excluded.ended_at);
    PERFORM {schema}.postpone_restore_update_trigger(former);
    IF freed_locks IS NOT NULL THEN
        PERFORM {schema}.postpone_announce_successors(freed_locks);
    END IF;
    RETURN coalesce(done_ids, '{}');
END
$$;
