-- Find: the one selection of jobs to run. Its callers pin the plans (fetch.sql).
--
-- Jobs are run by priority, the highest first, then by id. Two indexes have that order: one of all queues, and one queue by
-- queue, so that a worker of one queue does not walk through the jobs of others. Both have (-priority, id), which is one
-- ascending order, so that a walk may begin anywhere in it. Minus the priority is called the rank here; a bigint, since minus
-- the least integer is none. Both leave out parked jobs (parked.sql).
--
-- The walk through one queue names it twice. By =, because a scan stops where the first column of a row comparison decides: with the
-- queue as that alone, it would walk to the queue's end. And by a row comparison that begins with it, which only the index of the
-- queues can use: where the statistics know of one queue only, the planner would take the index of all queues for as good.

-- What a job's own columns say against taking it. The planner puts this function's body where it is called.
CREATE OR REPLACE FUNCTION {schema}.postpone_is_open(
    job_id bigint, task_name text, scheduled_at timestamptz, passed_over bigint[], passed_over_tasks text[])
RETURNS boolean
LANGUAGE sql AS $$
    SELECT (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())
        AND (passed_over IS NULL OR array_position(passed_over, job_id) IS NULL)
        AND (passed_over_tasks IS NULL OR array_position(passed_over_tasks, task_name) IS NULL)
$$;

-- Walks through one queue (null: through all, or through those of only_queues among all), behind (after_rank, after_id), up to
-- (last_rank, last_id). For postpone_find_jobs, which says what is found. The rows found are locked. with_locks: one of them has a
-- lock or a queueing lock.
CREATE OR REPLACE FUNCTION {schema}.postpone_walk(
    p_queue_name varchar, only_queues varchar[], after_rank bigint, after_id bigint, last_rank bigint, last_id bigint,
    most integer, passed_over bigint[], passed_over_tasks text[],
    OUT job_ids bigint[], OUT last_found_rank bigint, OUT with_locks boolean)
LANGUAGE plpgsql AS $$
BEGIN
    IF p_queue_name IS NULL THEN
        SELECT array_agg(candidate.id), max(candidate.rank), bool_or(NOT candidate.is_unlocked)
        INTO job_ids, last_found_rank, with_locks
        FROM (
            SELECT job.id, -job.priority::bigint AS rank, job.lock IS NULL AND job.queueing_lock IS NULL AS is_unlocked
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.parked IS NULL
              AND (-job.priority::bigint, job.id) > (after_rank, after_id)
              AND (-job.priority::bigint, job.id) <= (last_rank, last_id)
              AND (only_queues IS NULL OR array_position(only_queues, job.queue_name) IS NOT NULL)
              AND {schema}.postpone_is_open(job.id, job.task_name, job.scheduled_at, passed_over, passed_over_tasks)
              -- Scalar subqueries with a LIMIT cannot become a join: each is one index probe.
              AND (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NULL
              AND CASE WHEN job.lock IS NULL THEN true ELSE
                  (SELECT running.id FROM {schema}.procrastinate_jobs AS running
                   WHERE running.status = 'doing' AND running.lock = job.lock LIMIT 1) IS NULL
                  AND (SELECT elder.id FROM {schema}.procrastinate_jobs AS elder
                       WHERE elder.status = 'todo' AND elder.lock = job.lock
                       ORDER BY elder.priority DESC, elder.id LIMIT 1) = job.id
                  END
            ORDER BY -job.priority::bigint, job.id
            LIMIT most
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS candidate;
    ELSE
        SELECT array_agg(candidate.id), max(candidate.rank), bool_or(NOT candidate.is_unlocked)
        INTO job_ids, last_found_rank, with_locks
        FROM (
            SELECT job.id, -job.priority::bigint AS rank, job.lock IS NULL AND job.queueing_lock IS NULL AS is_unlocked
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.parked IS NULL
              AND job.queue_name = p_queue_name
              AND (job.queue_name, -job.priority::bigint, job.id) > (p_queue_name, after_rank, after_id)
              AND (-job.priority::bigint, job.id) > (after_rank, after_id)
              AND (-job.priority::bigint, job.id) <= (last_rank, last_id)
              AND {schema}.postpone_is_open(job.id, job.task_name, job.scheduled_at, passed_over, passed_over_tasks)
              AND (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NULL
              AND CASE WHEN job.lock IS NULL THEN true ELSE
                  (SELECT running.id FROM {schema}.procrastinate_jobs AS running
                   WHERE running.status = 'doing' AND running.lock = job.lock LIMIT 1) IS NULL
                  AND (SELECT elder.id FROM {schema}.procrastinate_jobs AS elder
                       WHERE elder.status = 'todo' AND elder.lock = job.lock
                       ORDER BY elder.priority DESC, elder.id LIMIT 1) = job.id
                  END
            ORDER BY job.queue_name, -job.priority::bigint, job.id
            LIMIT most
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS candidate;
    END IF;
END
$$;

-- Walks through several queues as through one. Round by round it asks how far it may go so that no queue has more than its
-- part in the round, and then takes from each what there is so far: so none runs ahead of the others, and hardly a row is
-- locked that is not taken. With half of what was asked for it is content (stopped): the last rounds would be as many again.
CREATE OR REPLACE FUNCTION {schema}.postpone_walk_queues(
    queue_names varchar[], after_rank bigint, after_id bigint, last_rank bigint, last_id bigint, most integer,
    passed_over bigint[], passed_over_tasks text[],
    OUT job_ids bigint[], OUT last_found_rank bigint, OUT with_locks boolean, OUT stopped boolean)
LANGUAGE plpgsql AS $$
DECLARE
    part integer := greatest(1, most / nullif(cardinality(queue_names), 0));
    bound record;
    found record;
    found_ids bigint[] := '{}';
    one_queue varchar;
BEGIN
    LOOP
        SELECT part_end.rank, part_end.id, count(*) OVER () AS full_queues INTO bound
        FROM unnest(queue_names) AS target (name)
        CROSS JOIN LATERAL (
            SELECT -job.priority::bigint AS rank, job.id
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.parked IS NULL
              AND job.queue_name = target.name
              AND (job.queue_name, -job.priority::bigint, job.id) > (target.name, after_rank, after_id)
              AND (-job.priority::bigint, job.id) > (after_rank, after_id)
              AND (-job.priority::bigint, job.id) <= (last_rank, last_id)
              AND {schema}.postpone_is_open(job.id, job.task_name, job.scheduled_at, passed_over, passed_over_tasks)
              AND (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NULL
            ORDER BY job.queue_name, -job.priority::bigint, job.id
            OFFSET part - 1
            LIMIT 1
        ) AS part_end
        ORDER BY part_end.rank, part_end.id
        LIMIT 1;
        FOREACH one_queue IN ARRAY queue_names LOOP
            found := {schema}.postpone_walk(
                one_queue, NULL, after_rank, after_id, coalesce(bound.rank, last_rank), coalesce(bound.id, last_id), most,
                passed_over, passed_over_tasks);
            found_ids := found_ids || found.job_ids;
        END LOOP;
        EXIT WHEN bound.rank IS NULL OR 2 * cardinality(found_ids) >= most;
        after_rank := bound.rank;
        after_id := bound.id;
        -- Past a crowd that cannot run, with longer and longer steps; else what is still wanted, of those that have so much.
        part := CASE WHEN found_ids = '{}' THEN least(2 * part, 100000)
                     ELSE greatest(1, (most - cardinality(found_ids)) / bound.full_queues) END;
    END LOOP;
    stopped := bound.rank IS NOT NULL;
    SELECT array_agg(job.id), max(job.rank), bool_or(NOT job.is_unlocked)
    INTO job_ids, last_found_rank, with_locks
    FROM (SELECT job.id, -job.priority::bigint AS rank, job.lock IS NULL AND job.queueing_lock IS NULL AS is_unlocked
          FROM {schema}.procrastinate_jobs AS job
          WHERE job.id = ANY (found_ids)
          ORDER BY -job.priority::bigint, job.id
          LIMIT most) AS job;
    IF cardinality(job_ids) < cardinality(found_ids) THEN
        -- Other fetches skip these until the commit.
        PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
        FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (found_ids) AND job.id <> ALL (job_ids)
        GROUP BY job.queue_name;
    END IF;
END
$$;

-- The names in an array of any shape, each once.
CREATE OR REPLACE FUNCTION {schema}.postpone_names_in(queue_names varchar[]) RETURNS varchar[]
LANGUAGE plpgsql AS $$
BEGIN
    IF array_ndims(queue_names) = 1 AND array_lower(queue_names, 1) = 1 AND cardinality(queue_names) = 1 THEN
        RETURN array_remove(queue_names, NULL);
    END IF;
    RETURN ARRAY(SELECT DISTINCT name FROM unnest(queue_names) AS target (name) WHERE name IS NOT NULL);
END
$$;

-- Does an index of this queue (null: of all) have an entry of a lower rank? What it stands for may have been taken.
CREATE OR REPLACE FUNCTION {schema}.postpone_is_before(p_queue_name varchar, p_rank bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF p_queue_name IS NULL THEN
        RETURN EXISTS (SELECT FROM {schema}.procrastinate_jobs AS job
                       WHERE job.status = 'todo' AND job.parked IS NULL AND -job.priority::bigint < p_rank);
    END IF;
    RETURN EXISTS (SELECT FROM {schema}.procrastinate_jobs AS job
                   WHERE job.status = 'todo' AND job.parked IS NULL AND job.queue_name = p_queue_name
                     AND (job.queue_name, -job.priority::bigint, job.id) < (p_queue_name, p_rank, -9223372036854775808)
                     AND -job.priority::bigint < p_rank);
END
$$;

-- How many of these jobs, which are in order, come before the first but for the front one that has a queueing lock.
CREATE OR REPLACE FUNCTION {schema}.postpone_count_before_queueing_lock(job_ids bigint[]) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce((
        SELECT min(array_position(job_ids, job.id)) - 1 FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (job_ids[2:]) AND job.queueing_lock IS NOT NULL), cardinality(job_ids));
END
$$;

-- Up to max_jobs jobs that wait in these queues (null or empty: in any), are due, are not passed over (by id, or by task), and
-- are not held by others, in order. Of a lock, at most the first that waits, whatever its queue or schedule, and only while none
-- of that lock is running. A job with a queueing lock is
-- found only as the first: a worker that took it behind others might have to send it back unbegun, when another
-- job waits under its queueing lock already. The rows found are locked. They may have been claimed (claims.sql) before they
-- were: that is for the caller. job_ids is null for none; last_found_rank is the rank of the last; with_locks: one of them has a
-- lock or a queueing lock, or had one beside it that was left out; is_cut: the walk did not go to its end, so there may be more.
--
-- start_id (see postpone_fetch_jobs): jobs of a higher priority come first, as always, and of start_priority those behind this
-- job. The walk spares itself all that others have taken and that ended since: the index keeps an entry of each until no
-- snapshot sees it any more. Where there is nothing so, and where this transaction has freed a lock that others wait for, or has
-- sent jobs back (postpone.fetch_from_top), it begins at the top: from_top.
CREATE OR REPLACE FUNCTION {schema}.postpone_find_jobs(
    target_queue_names varchar[], max_jobs integer, passed_over bigint[], passed_over_tasks text[],
    start_priority integer, start_id bigint,
    OUT job_ids bigint[], OUT last_found_rank bigint, OUT with_locks boolean, OUT is_cut boolean, OUT from_top boolean)
LANGUAGE plpgsql
AS $$
DECLARE
    before_all constant bigint := -2147483649;
    behind_all constant bigint := 2147483648;
    highest_id constant bigint := 9223372036854775807;
    queue_names varchar[];
    queues integer := 0;  -- 0: any
    most integer := greatest(coalesce(max_jobs, 1), 0);
    start_rank bigint := -start_priority::bigint;
    after_rank bigint;
    after_id bigint;
    last_rank bigint;
    kept integer;
BEGIN
    IF cardinality(target_queue_names) > 0 THEN
        queue_names := {schema}.postpone_names_in(target_queue_names);
        queues := cardinality(queue_names);
        most := CASE WHEN queues > 0 THEN most ELSE 0 END;
    END IF;
    from_top := start_id IS NULL OR start_priority IS NULL
        OR coalesce(current_setting('postpone.fetch_from_top', true), '') <> '';
    IF most = 0 THEN
        from_top := true;
        is_cut := false;
        RETURN;
    END IF;
    -- Higher priorities than that of the start; behind the start; all.
    FOR leg IN CASE WHEN from_top THEN 3 ELSE 1 END .. 3 LOOP
        -- Nearly always nothing has a higher priority, and a look costs less than a walk.
        CONTINUE WHEN leg = 1 AND queues <= 1 AND NOT {schema}.postpone_is_before(queue_names[1], start_rank);
        from_top := leg = 3;
        after_rank := CASE leg WHEN 2 THEN start_rank ELSE before_all END;
        after_id := CASE leg WHEN 2 THEN start_id ELSE highest_id END;
        last_rank := CASE leg WHEN 1 THEN start_rank - 1 WHEN 2 THEN start_rank ELSE behind_all END;
        -- Of many queues each step would cost as many looks.
        IF queues BETWEEN 2 AND 10 THEN
            SELECT walked.* INTO job_ids, last_found_rank, with_locks, is_cut
            FROM {schema}.postpone_walk_queues(
                queue_names, after_rank, after_id, last_rank, highest_id, most, passed_over, passed_over_tasks) AS walked;
        ELSE
            SELECT walked.* INTO job_ids, last_found_rank, with_locks
            FROM {schema}.postpone_walk(
                CASE WHEN queues = 1 THEN queue_names[1] END, CASE WHEN queues > 1 THEN queue_names END,
                after_rank, after_id, last_rank, highest_id, most, passed_over, passed_over_tasks) AS walked;
        END IF;
        EXIT WHEN job_ids IS NOT NULL;
    END LOOP;
    is_cut := coalesce(is_cut, false) OR cardinality(job_ids) = most OR NOT from_top;
    IF with_locks AND most > 1 THEN
        kept := {schema}.postpone_count_before_queueing_lock(job_ids);
        IF kept < cardinality(job_ids) THEN
            is_cut := true;
            job_ids := job_ids[1:kept];
            last_found_rank := (SELECT -job.priority::bigint FROM {schema}.procrastinate_jobs AS job WHERE job.id = job_ids[kept]);
        END IF;
    END IF;
END
$$;
