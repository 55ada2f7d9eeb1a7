-- What a fetch wants to know of jobs besides which to take: are there more, how many for each who looks, and for how long
-- have these waited. Its callers pin the plans (fetch.sql).

-- Is another job due that does not wait for one of those that have been taken? It looks behind the last of them first, where there
-- is one most often, and from the top then. locked_ids: those of them that may have a lock.
CREATE OR REPLACE FUNCTION {schema}.postpone_are_more(
    target_queue_names varchar[], last_rank bigint, last_id bigint, locked_ids bigint[], passed_over bigint[],
    passed_over_tasks text[])
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    taken_locks text[] := '{}';
BEGIN
    IF locked_ids <> '{}' THEN
        taken_locks := ARRAY(
            SELECT job.lock FROM {schema}.procrastinate_jobs AS job WHERE job.id = ANY (locked_ids) AND job.lock IS NOT NULL);
    END IF;
    IF last_rank IS NOT NULL AND {schema}.postpone_is_another(
        target_queue_names, last_rank, last_id, taken_locks, passed_over, passed_over_tasks)
    THEN
        RETURN true;
    END IF;
    RETURN {schema}.postpone_is_another(target_queue_names, -2147483649, 0, taken_locks, passed_over, passed_over_tasks);
END
$$;

-- The same behind (after_rank, after_id), among the next fifty of each queue. For postpone_are_more.
CREATE OR REPLACE FUNCTION {schema}.postpone_is_another(
    target_queue_names varchar[], after_rank bigint, after_id bigint, taken_locks text[], passed_over bigint[],
    passed_over_tasks text[])
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(cardinality(target_queue_names), 0) = 0 THEN
        RETURN EXISTS (
            SELECT FROM (
                SELECT job.lock FROM {schema}.procrastinate_jobs AS job
                WHERE job.status = 'todo' AND job.parked IS NULL
                  AND (-job.priority::bigint, job.id) > (after_rank, after_id)
                  AND {schema}.postpone_is_open(job.id, job.task_name, job.scheduled_at, passed_over, passed_over_tasks)
                  AND (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NULL
                ORDER BY -job.priority::bigint, job.id
                LIMIT 50
            ) AS next
            WHERE next.lock IS NULL OR next.lock <> ALL (taken_locks));
    END IF;
    RETURN EXISTS (
        SELECT FROM unnest(target_queue_names) AS target (name)
        CROSS JOIN LATERAL (
            SELECT job.lock FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.parked IS NULL
              AND (job.queue_name, -job.priority::bigint, job.id) > (target.name, after_rank, after_id)
              AND job.queue_name <= target.name
              AND {schema}.postpone_is_open(job.id, job.task_name, job.scheduled_at, passed_over, passed_over_tasks)
              AND (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NULL
            ORDER BY job.queue_name, -job.priority::bigint, job.id
            LIMIT 50
        ) AS next
        WHERE next.lock IS NULL OR next.lock <> ALL (taken_locks));
END
$$;

-- How many jobs are due and claimed by nobody among the next look_ahead that wait (in each of the queues), in the priority of the
-- start that a fetch was given and behind it (postpone_find_jobs), or from the top.
CREATE OR REPLACE FUNCTION {schema}.postpone_count_waiting(
    target_queue_names varchar[], look_ahead integer, start_priority integer, start_id bigint)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    after_rank bigint := CASE WHEN start_id IS NULL THEN -2147483649 ELSE -start_priority::bigint END;
    after_id bigint := coalesce(start_id, 9223372036854775807);
    last_rank bigint := CASE WHEN start_id IS NULL THEN 2147483648 ELSE -start_priority::bigint END;
    next_ids bigint[];
BEGIN
    IF coalesce(cardinality(target_queue_names), 0) = 0 THEN
        next_ids := ARRAY(
            SELECT waits.id
            FROM (SELECT job.id, job.scheduled_at
                  FROM {schema}.procrastinate_jobs AS job
                  WHERE job.status = 'todo' AND job.parked IS NULL
                    AND (-job.priority::bigint, job.id) > (after_rank, after_id) AND -job.priority::bigint <= last_rank
                  ORDER BY -job.priority::bigint, job.id
                  LIMIT look_ahead) AS waits
            WHERE waits.scheduled_at IS NULL OR waits.scheduled_at <= clock_timestamp());
    ELSE
        next_ids := ARRAY(
            SELECT waits.id
            FROM unnest(target_queue_names) AS target (name)
            CROSS JOIN LATERAL (
                SELECT job.id, job.scheduled_at
                FROM {schema}.procrastinate_jobs AS job
                WHERE job.status = 'todo' AND job.parked IS NULL
                  AND job.queue_name = target.name
                  AND (job.queue_name, -job.priority::bigint, job.id) > (target.name, after_rank, after_id)
                  AND (-job.priority::bigint, job.id) > (after_rank, after_id)
                  AND -job.priority::bigint <= last_rank
                ORDER BY job.queue_name, -job.priority::bigint, job.id
                LIMIT look_ahead) AS waits
            WHERE waits.scheduled_at IS NULL OR waits.scheduled_at <= clock_timestamp()
            LIMIT look_ahead);
    END IF;
    RETURN cardinality(next_ids) - (
        SELECT count(*) FROM {schema}.postpone_claims AS claim WHERE claim.job_id = ANY (next_ids));
END
$$;

-- For programs of version 11, which ask this in the statement of each fetch: of max_jobs, what to ask for if so many workers
-- would share what waits.
CREATE OR REPLACE FUNCTION {schema}.postpone_share_of(target_queue_names varchar[], max_jobs integer, sharers integer)
RETURNS integer
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    most integer := least(greatest(coalesce(max_jobs, 1), 1), 1000);
    parts integer := least(greatest(coalesce(sharers, 1), 1), 1000);
    waiting integer := {schema}.postpone_count_waiting(target_queue_names, 4 * most * parts, NULL, NULL);
BEGIN
    RETURN least(most, greatest(1, (waiting + parts - 1) / parts));
END
$$;

-- For how many seconds this job could have been run, but for its lock: since it was deferred, sent back or retried, as its
-- events say, and since its schedule's time. Null when nothing says since when, or one of them is `infinity`: a number that
-- is only reported must not keep its job from being fetched.
CREATE OR REPLACE FUNCTION {schema}.postpone_waited(p_job_id bigint, scheduled_at timestamptz) RETURNS double precision
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    ready_at timestamptz := greatest(scheduled_at, (
        SELECT max(event.at) FROM {schema}.procrastinate_events AS event
        WHERE event.job_id = p_job_id AND event.type::text IN ('deferred', 'deferred_for_retry', 'retried')));
BEGIN
    RETURN CASE WHEN isfinite(ready_at) THEN extract(epoch FROM clock_timestamp() - ready_at) END;
END
$$;
