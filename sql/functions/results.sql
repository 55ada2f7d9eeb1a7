-- Results: what jobs give back, and how far they are. Plans are pinned as in fetch.sql.
--
-- A job that gives neither has no row here, and costs nothing. A row speaks of one attempt (`attempt`): what an earlier one has
-- said is written over, and postpone_jobs shows of a job only what its last attempt said. A result is one of a success, so it
-- comes with the outcome alone, in its transaction; progress comes while the job runs, too.

-- Stores what these outcomes (see postpone_finish_jobs) say of those of these jobs that are still there: a job may have been
-- deleted at its end.
CREATE OR REPLACE FUNCTION {schema}.postpone_store_results(outcomes jsonb, p_job_ids bigint[]) RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    INSERT INTO {schema}.postpone_results (
        job_id, attempt, result, progress_done, progress_total, progress_note)
    SELECT given.job_id, given.attempt, CASE WHEN given.action = 'succeed' THEN given.result END,
           (given.progress ->> 'done')::bigint, (given.progress ->> 'total')::bigint, given.progress ->> 'note'
    FROM jsonb_to_recordset(outcomes) AS given (job_id bigint, attempt integer, action text, result jsonb, progress jsonb)
    WHERE given.job_id = ANY (p_job_ids)
      AND (given.result IS NOT NULL AND given.action = 'succeed' OR given.progress IS NOT NULL)
      AND (SELECT job.id FROM {schema}.procrastinate_jobs AS job WHERE job.id = given.job_id LIMIT 1) IS NOT NULL
    ON CONFLICT ON CONSTRAINT postpone_results_pkey DO UPDATE
    SET (attempt, result, progress_done, progress_total, progress_note, updated_at)
      = (excluded.attempt, excluded.result, excluded.progress_done, excluded.progress_total, excluded.progress_note,
         excluded.updated_at);
END
$$;

-- How far a job is that this worker runs, in this attempt. False, and nothing is stored, when it is not this worker's any more,
-- and when another session is changing it at this moment: progress is not worth a wait.
CREATE OR REPLACE FUNCTION {schema}.postpone_store_progress(
    p_worker_id bigint, p_job_id bigint, p_attempt integer, done bigint, total bigint, note text)
RETURNS boolean
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    -- The worker's row before its job, as a finish does: a rescue, which locks it, waits for us or has decided the job.
    PERFORM FROM {schema}.procrastinate_workers WHERE id = p_worker_id FOR KEY SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = p_job_id AND {schema}.postpone_next_attempt(job.attempts) = p_attempt
      -- Spelled as in postpone_apply_outcomes.
      AND (job.status::text = 'doing' AND job.worker_id IS NOT DISTINCT FROM p_worker_id
           OR job.status::text = 'todo'
               AND (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1)
                   = p_worker_id)
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO {schema}.postpone_results (job_id, attempt, progress_done, progress_total, progress_note)
    VALUES (p_job_id, p_attempt, done, total, note)
    ON CONFLICT ON CONSTRAINT postpone_results_pkey DO UPDATE
    SET (attempt, result, progress_done, progress_total, progress_note, updated_at)
      = (excluded.attempt, NULL, excluded.progress_done, excluded.progress_total, excluded.progress_note,
         excluded.updated_at);
    RETURN true;
END
$$;
