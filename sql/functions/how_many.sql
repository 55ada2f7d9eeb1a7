-- What a fetch wants to know of the jobs that it does not take: are there more, and how many for each who looks. Plans are
-- pinned as in fetch.sql.

-- Is another job due that does not wait for one of these, which have been taken?
CREATE OR REPLACE FUNCTION {schema}.postpone_are_more(
    target_queue_names varchar[], taken_ids bigint[], passed_over bigint[], passed_over_tasks text[])
RETURNS boolean
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    any_queue boolean := coalesce(cardinality(target_queue_names), 0) = 0;
    taken_locks text[] := ARRAY(
        SELECT job.lock FROM {schema}.procrastinate_jobs AS job WHERE job.id = ANY (taken_ids) AND job.lock IS NOT NULL);
BEGIN
    RETURN EXISTS (
        SELECT FROM (
            SELECT job.lock
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo'
              AND (any_queue OR array_position(target_queue_names, job.queue_name) IS NOT NULL)
              AND (job.scheduled_at IS NULL OR job.scheduled_at <= clock_timestamp())
              AND (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NULL
              AND (passed_over IS NULL OR array_position(passed_over, job.id) IS NULL)
              AND (passed_over_tasks IS NULL OR array_position(passed_over_tasks, job.task_name::text) IS NULL)
            ORDER BY job.priority DESC, job.id
            LIMIT 50
        ) AS next
        WHERE next.lock IS NULL OR next.lock <> ALL (taken_locks));
END
$$;

-- How many jobs a worker asks for that has siblings which run nothing: no more than its share of what waits, but one
-- at least. sharers: how many would share, itself included. It looks only so far: behind many jobs of other queues it
-- may see too few.
CREATE OR REPLACE FUNCTION {schema}.postpone_share_of(target_queue_names varchar[], max_jobs integer, sharers integer)
RETURNS integer
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    any_queue boolean := coalesce(cardinality(target_queue_names), 0) = 0;
    most integer := least(greatest(coalesce(max_jobs, 1), 1), 1000);
    parts integer := least(greatest(coalesce(sharers, 1), 1), 1000);
    waiting integer := (
        SELECT count(*)
        FROM (SELECT
              FROM (SELECT job.id, job.queue_name, job.scheduled_at
                    FROM {schema}.procrastinate_jobs AS job
                    WHERE job.status = 'todo'
                    ORDER BY job.priority DESC, job.id
                    LIMIT 4 * most * parts) AS waits
              WHERE (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = waits.id LIMIT 1) IS NULL
                AND (any_queue OR array_position(target_queue_names, waits.queue_name) IS NOT NULL)
                AND (waits.scheduled_at IS NULL OR waits.scheduled_at <= clock_timestamp())
              LIMIT most * parts) AS due);
BEGIN
    RETURN least(most, greatest(1, (waiting + parts - 1) / parts));
END
$$;
