-- Retention: jobs that ended long ago are removed, a few at a time (subworker/housekeeper/retention.h).
--
-- No index knows when a job ended: every job would pay for it. Events have ids in the order of time, more or less, so a walk
-- along them meets old jobs first, and ends where events are too young. What it passes by (a job that had not ended then)
-- it finds when it starts again from the beginning.

-- Looks at the jobs of the next events behind p_after_event, up to p_most_events of them, and removes those that
--   - ended with one of p_statuses, or, in one of p_own_queues, with a status for which p_rules has "status queue", and
--   - have had no event and no end of an attempt for so many seconds (that they were scheduled counts for none).
-- Passes over jobs that another session has locked, or that the database refuses to delete. Returns no row when another
-- session is at it; else up to which event it came, how many jobs it removed, and whether that was the end: the next event
-- is too young, or there is none.
CREATE OR REPLACE FUNCTION {schema}.postpone_remove_ended_jobs(
    p_after_event bigint, p_most_events integer, p_older_than double precision, p_statuses text[], p_own_queues text[],
    p_rules text[])
RETURNS TABLE (up_to_event bigint, removed bigint, is_end boolean)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    limit_at timestamptz := now() - {schema}.postpone_seconds(greatest(p_older_than, 0));
    event_ids bigint[];
    job_ids bigint[];
    young_event bigint;
    old_ids bigint[];
    old_id bigint;
BEGIN
    -- Two walks at the same place would do the same work twice.
    IF NOT pg_try_advisory_xact_lock(8101821198602563174) THEN
        RETURN;
    END IF;
    SELECT array_agg(event.id ORDER BY event.id), array_agg(event.job_id ORDER BY event.id),
           min(event.id) FILTER (WHERE event.type IS DISTINCT FROM 'scheduled' AND event.at >= limit_at AND event.at <= now())
    INTO event_ids, job_ids, young_event
    FROM (SELECT following.id, following.job_id, following.type, following.at
          FROM {schema}.procrastinate_events AS following
          WHERE following.id > p_after_event
          ORDER BY following.id
          LIMIT greatest(p_most_events, 0)) AS event;
    IF event_ids IS NULL THEN
        up_to_event := p_after_event;
        removed := 0;
        is_end := true;
        RETURN NEXT;
        RETURN;
    END IF;
    IF young_event IS NOT NULL THEN
        job_ids := job_ids[:array_position(event_ids, young_event) - 1];
    END IF;
    up_to_event := coalesce(young_event - 1, event_ids[cardinality(event_ids)]);
    is_end := young_event IS NOT NULL OR cardinality(event_ids) < p_most_events;

    SELECT array_agg(old.id)
    INTO old_ids
    FROM (SELECT job.id
          FROM {schema}.procrastinate_jobs AS job
          WHERE job.id = ANY (job_ids)
            AND job.status IN ('succeeded', 'failed', 'cancelled', 'aborted')
            AND CASE WHEN job.queue_name = ANY (p_own_queues)
                     THEN job.status::text || ' ' || job.queue_name = ANY (p_rules)
                     ELSE job.status::text = ANY (p_statuses) END
            AND (SELECT max(event.at) FROM {schema}.procrastinate_events AS event
                 WHERE event.job_id = job.id AND event.type IS DISTINCT FROM 'scheduled' AND event.at <= now()) < limit_at
            AND NOT EXISTS (SELECT FROM {schema}.postpone_attempts AS attempt
                            WHERE attempt.job_id = job.id AND attempt.ended_at >= limit_at)
          ORDER BY job.id
          FOR UPDATE SKIP LOCKED) AS old;
    removed := 0;
    IF old_ids IS NOT NULL THEN
        BEGIN
            DELETE FROM {schema}.procrastinate_jobs AS job WHERE job.id = ANY (old_ids);
            GET DIAGNOSTICS removed = ROW_COUNT;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF {schema}.postpone_is_passing(sqlstate) THEN
                RAISE;
            END IF;
            -- A foreign key of the application, or a trigger of its own, holds one of them.
            FOREACH old_id IN ARRAY old_ids LOOP
                BEGIN
                    DELETE FROM {schema}.procrastinate_jobs AS job WHERE job.id = old_id;
                    removed := removed + 1;
                EXCEPTION WHEN OTHERS OR assert_failure THEN
                    IF {schema}.postpone_is_passing(sqlstate) THEN
                        RAISE;
                    END IF;
                END;
            END LOOP;
        END;
    END IF;
    RETURN NEXT;
END
$$;
