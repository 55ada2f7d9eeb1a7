-- Finish, for jobs that are deleted when they end (delete_jobs). Plans are pinned as in fetch.sql.

-- Removes the jobs of these outcomes that were to be deleted and have ended by them: in this statement (recorded_ids), or
-- before, as their attempts say. One that a foreign key of the application holds stays, with a warning: that it has ended
-- is recorded all the same.
CREATE OR REPLACE FUNCTION {schema}.postpone_delete_ended_jobs(
    p_worker_id bigint, outcomes jsonb, recorded_ids bigint[])
RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    outcome jsonb;
BEGIN
    DELETE FROM {schema}.procrastinate_jobs AS job
    USING jsonb_to_recordset(outcomes)
        AS outcome (job_id bigint, attempt integer, action {schema}.postpone_action, delete_job boolean)
    WHERE outcome.delete_job AND outcome.action IN ('succeed', 'fail', 'abort')
      AND (outcome.job_id = ANY (recorded_ids)
           OR EXISTS (SELECT FROM {schema}.postpone_attempts AS ended
                      WHERE ended.job_id = outcome.job_id AND ended.attempt = outcome.attempt
                        AND ended.worker_id = p_worker_id))
      AND job.id = outcome.job_id AND job.attempts = outcome.attempt
      -- Whichever of the two the plan begins with. See postpone_apply_outcomes.
      AND job.id = ANY (ARRAY(SELECT (value ->> 'job_id')::bigint FROM jsonb_array_elements(outcomes)))
      AND job.status IN ('succeeded', 'failed', 'aborted');
EXCEPTION WHEN OTHERS OR assert_failure THEN
    IF {schema}.postpone_is_passing(sqlstate) THEN
        RAISE;
    ELSIF jsonb_array_length(outcomes) = 1 THEN
        RAISE WARNING 'job % has ended, but its row cannot be deleted and stays: %', outcomes -> 0 ->> 'job_id', sqlerrm
            USING ERRCODE = '01P0J';
    ELSE
        FOR outcome IN SELECT value FROM jsonb_array_elements(outcomes) LOOP
            PERFORM {schema}.postpone_delete_ended_jobs(p_worker_id, jsonb_build_array(outcome), recorded_ids);
        END LOOP;
    END IF;
END
$$;

-- Deletes these jobs, which end in these attempts, without a change to their rows before that: nobody would see it, nor
-- the event and the attempt that go with it. Returns the jobs that it has deleted. None where a trigger of the application
-- looks at changes or at deleted rows, or a foreign key of the application holds one of them: then they are to end first
-- (postpone_delete_ended_jobs).
CREATE OR REPLACE FUNCTION {schema}.postpone_delete_running_jobs(
    p_worker_id bigint, job_ids bigint[], p_attempts integer[])
RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
    on_delete_or_update constant smallint := 8 | 16;  -- bits of tgtype
    former text := coalesce(current_setting('postpone.update_trigger_off_at_depth', true), '');
    deleted_ids bigint[];
BEGIN
    IF EXISTS (SELECT FROM pg_trigger
               WHERE tgrelid = '{schema}.procrastinate_jobs'::regclass AND NOT tgisinternal AND tgenabled <> 'D'
                 AND tgtype & on_delete_or_update <> 0 AND NOT starts_with(tgname, 'postpone_'))
    THEN
        RETURN '{}';
    END IF;
    PERFORM set_config('postpone.update_trigger_off_at_depth', (pg_trigger_depth() + 1)::text, true);
    WITH deleted AS (
        DELETE FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (job_ids)
          AND {schema}.postpone_next_attempt(job.attempts) = p_attempts[array_position(job_ids, job.id)]
          -- Spelled as in postpone_apply_outcomes.
          AND (job.status::text = 'doing' AND job.worker_id IS NOT DISTINCT FROM p_worker_id
               OR job.status::text = 'todo'
                   AND (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1)
                       = p_worker_id)
        RETURNING job.id
    )
    SELECT array_agg(id) INTO deleted_ids FROM deleted;
    PERFORM {schema}.postpone_restore_update_trigger(former);
    RETURN coalesce(deleted_ids, '{}');
EXCEPTION WHEN OTHERS OR assert_failure THEN
    IF {schema}.postpone_is_passing(sqlstate) THEN
        RAISE;
    END IF;
    RETURN '{}';
END
$$;
