-- Enqueued: what becomes of a job that is deferred while another one waits under its queueing lock. Its on_conflict says:
--   refuse     an error (unique_violation of procrastinate_jobs_queueing_lock_idx_v1), and nothing is created
--   keep       the job that waits stays as it is and stands for this one (throttle)
--   replace    the job that waits gets the arguments, time, priority and meta of this one (debounce)
--
-- The unique index alone decides whether a job waits, so there is no gap between look and act: a defer inserts, and where
-- the index lets it not, it meets the job that waits. That one is locked until the defer's transaction ends: no
-- worker starts it before it can see what this transaction has written. When a worker was faster, the
-- job does not wait any more: then the insert is tried again and creates a job of its own. So new work is never lost in
-- a job that has begun.
--
-- A fetch passes over what is locked, and would not look again. So the met jobs are announced, as new ones are.

-- As the unique index says it, which clients recognise.
CREATE OR REPLACE FUNCTION {schema}.postpone_refuse_enqueued(queueing_lock text, reason text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', coalesce(reason, 'duplicate key value violates unique constraint '
                                          '"procrastinate_jobs_queueing_lock_idx_v1"')
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'procrastinate_jobs_queueing_lock_idx_v1',
              DETAIL = format('Key (queueing_lock)=(%s) already exists.', queueing_lock),
              TABLE = 'procrastinate_jobs';
END
$$;

-- Holds the jobs that wait under these queueing locks, each of which is named once, and gives those that `replaces` says what
-- stands in the other arrays. Returns those it has met. One that a worker has claimed (it got its queueing lock by hand
-- since) runs, and is none.
CREATE OR REPLACE FUNCTION {schema}.postpone_meet_waiting(
    p_queueing_locks text[], replaces boolean[], tasks text[], p_args jsonb[], priorities integer[],
    p_scheduled_at timestamptz[], p_meta jsonb[])
RETURNS TABLE (queueing_lock text, job_id bigint)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    kept bigint[];
    replaced bigint[];
    held bigint[];
    stranger record;
BEGIN
    SELECT coalesce(array_agg(job.id) FILTER (WHERE NOT wanted.replaces), '{}'),
           coalesce(array_agg(job.id) FILTER (WHERE wanted.replaces), '{}')
    INTO kept, replaced
    FROM {schema}.procrastinate_jobs AS job
    JOIN unnest(p_queueing_locks, replaces) AS wanted (queueing_lock, replaces) ON wanted.queueing_lock = job.queueing_lock
    WHERE job.status = 'todo' AND job.queueing_lock = ANY (p_queueing_locks);
    PERFORM {schema}.postpone_settle_jobs(kept || replaced);
    -- All in one order, so that two that meet the same jobs do not wait for each other both. Those who only keep jobs do not wait
    -- for each other at all.
    IF replaced = '{}' THEN
        held := ARRAY(SELECT id FROM {schema}.procrastinate_jobs
                      WHERE id = ANY (kept) AND status::text = 'todo' ORDER BY id FOR SHARE);
    ELSE
        held := ARRAY(SELECT id FROM {schema}.procrastinate_jobs
                      WHERE id = ANY (kept || replaced) AND status::text = 'todo' ORDER BY id FOR NO KEY UPDATE);
    END IF;
    held := {schema}.postpone_unclaimed(held);
    replaced := ARRAY(SELECT id FROM unnest(replaced) AS id WHERE id = ANY (held));

    SELECT job.id, job.task_name, job.queueing_lock, wanted.task INTO stranger
    FROM {schema}.procrastinate_jobs AS job
    JOIN unnest(p_queueing_locks, tasks) AS wanted (queueing_lock, task) ON wanted.queueing_lock = job.queueing_lock
    WHERE job.id = ANY (replaced) AND job.task_name <> wanted.task
    LIMIT 1;
    IF FOUND THEN
        PERFORM {schema}.postpone_refuse_enqueued(stranger.queueing_lock, format(
            'job %s, which waits under queueing lock "%s", is of task %s: a job of %s cannot replace it',
            stranger.id, stranger.queueing_lock, stranger.task_name, stranger.task));
    END IF;
    UPDATE {schema}.procrastinate_jobs AS job
    SET args = coalesce(wanted.args, '{}'), priority = coalesce(wanted.priority, 0), scheduled_at = wanted.scheduled_at,
        meta = wanted.meta
    FROM unnest(p_queueing_locks, p_args, priorities, p_scheduled_at, p_meta)
        AS wanted (queueing_lock, args, priority, scheduled_at, meta)
    WHERE job.id = ANY (replaced) AND job.queueing_lock = wanted.queueing_lock;

    PERFORM {schema}.postpone_announce_jobs(
        job.queue_name, min(job.id),
        count(*) FILTER (WHERE job.scheduled_at IS NULL OR job.scheduled_at <= clock_timestamp()),
        bool_or(job.scheduled_at > clock_timestamp()), false)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (held)
    GROUP BY job.queue_name;
    RETURN QUERY SELECT job.queueing_lock, job.id FROM {schema}.procrastinate_jobs AS job WHERE job.id = ANY (held);
END
$$;

-- The same with the rights of the owner, for who may create jobs and not change them: it could as well have been there
-- first, and have kept others from that queueing lock.
CREATE OR REPLACE FUNCTION {schema}.postpone_meet_waiting_as_owner(
    p_queueing_locks text[], replaces boolean[], tasks text[], p_args jsonb[], priorities integer[],
    p_scheduled_at timestamptz[], p_meta jsonb[])
RETURNS TABLE (queueing_lock text, job_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT has_column_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user),
                                '{schema}.procrastinate_jobs'::regclass, 'queueing_lock', 'INSERT')
    THEN
        RAISE EXCEPTION 'permission denied to defer: that takes INSERT on procrastinate_jobs'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY SELECT * FROM {schema}.postpone_meet_waiting(
        p_queueing_locks, replaces, tasks, p_args, priorities, p_scheduled_at, p_meta);
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_may_meet_waiting() RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    jobs constant regclass := '{schema}.procrastinate_jobs';
BEGIN
    RETURN has_table_privilege(jobs, 'SELECT')
        AND (SELECT bool_and(has_column_privilege(jobs, changed, 'UPDATE'))
             FROM unnest('{args,priority,scheduled_at,meta}'::text[]) AS changed);
END
$$;

-- Creates all jobs, or none: task tasks[i] with args[i], and so on; an array that is null, and a null in one, stands for what
-- postpone_defer has by default. Returns a row for each job, in the order of the arrays: its id, and whether it was
-- created, or the job with this id was kept or replaced. Of several with one queueing lock among them the first is
-- created, and the last one that replaces counts.
CREATE OR REPLACE FUNCTION {schema}.postpone_defer_jobs(
    tasks text[], args jsonb[] DEFAULT NULL, queues text[] DEFAULT NULL, priorities integer[] DEFAULT NULL,
    locks text[] DEFAULT NULL, queueing_locks text[] DEFAULT NULL, scheduled_at timestamptz[] DEFAULT NULL,
    on_conflict text[] DEFAULT NULL, meta jsonb[] DEFAULT NULL)
RETURNS TABLE (job_id bigint, disposition text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    wrong text;
BEGIN
    -- Arrays that are longer than `tasks` name jobs without a task.
    IF EXISTS (SELECT FROM unnest(tasks, args, queues, priorities, locks, queueing_locks, scheduled_at, on_conflict, meta)
                   AS job (task) WHERE job.task IS NULL)
    THEN
        RAISE EXCEPTION 'postpone_defer_jobs: a task is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT choice INTO wrong FROM unnest(on_conflict) AS choice WHERE choice NOT IN ('refuse', 'keep', 'replace') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'on_conflict is "%": it must be refuse, keep or replace', wrong
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(on_conflict && '{keep,replace}' AND array_remove(queueing_locks, NULL) <> '{}', false) THEN
        RETURN QUERY SELECT * FROM {schema}.postpone_defer_or_meet(
            tasks, args, queues, priorities, locks, queueing_locks, scheduled_at, on_conflict, meta);
        RETURN;
    END IF;
    RETURN QUERY
    INSERT INTO {schema}.procrastinate_jobs
        (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, meta)
    SELECT coalesce(job.queue, 'default'), job.task, coalesce(job.priority, 0), job.lock, job.queueing_lock,
           coalesce(job.args, '{}'), job.scheduled_at, job.meta
    FROM unnest(tasks, args, queues, priorities, locks, queueing_locks, scheduled_at, meta) WITH ORDINALITY
        AS job (task, args, queue, priority, lock, queueing_lock, scheduled_at, meta, place)
    ORDER BY job.place
    RETURNING id, 'created';
END
$$;

-- postpone_defer_jobs() where some jobs may meet others.
CREATE OR REPLACE FUNCTION {schema}.postpone_defer_or_meet(
    tasks text[], p_args jsonb[], queues text[], priorities integer[], locks text[], queueing_locks text[],
    p_scheduled_at timestamptz[], on_conflict text[], p_meta jsonb[])
RETURNS TABLE (job_id bigint, disposition text)
LANGUAGE plpgsql
SET jit = off SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    ids bigint[] := array_fill(NULL::bigint, ARRAY[coalesce(cardinality(tasks), 0)]);
    dispositions text[] := array_fill(NULL::text, ARRAY[coalesce(cardinality(tasks), 0)]);
    as_owner constant boolean := NOT {schema}.postpone_may_meet_waiting();
    refused text;
    decided record;
    wanted record;
BEGIN
    FOR round IN 1 .. 10 LOOP
        FOR decided IN
            WITH asked AS MATERIALIZED (
                SELECT job.*, row_number() OVER (PARTITION BY job.queueing_lock ORDER BY job.place) AS rank
                FROM unnest(tasks, p_args, queues, priorities, locks, queueing_locks, p_scheduled_at, p_meta, ids)
                    WITH ORDINALITY AS job (task, args, queue, priority, lock, queueing_lock, scheduled_at, meta, id, place)
                WHERE job.id IS NULL
            ), created AS (
                INSERT INTO {schema}.procrastinate_jobs
                    (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, meta)
                SELECT coalesce(queue, 'default'), task, coalesce(priority, 0), lock, queueing_lock, coalesce(args, '{}'),
                       scheduled_at, meta
                FROM asked
                ORDER BY place
                ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING
                RETURNING id, queueing_lock
            ), ranked AS (
                SELECT id, queueing_lock, row_number() OVER (PARTITION BY queueing_lock ORDER BY id) AS rank FROM created
            )
            -- Jobs without a queueing lock are all created, and their ids rise with their places.
            SELECT asked.place, ranked.id
            FROM ranked JOIN asked
                ON (asked.queueing_lock IS NULL) = (ranked.queueing_lock IS NULL)
                AND coalesce(asked.queueing_lock, '') = coalesce(ranked.queueing_lock, '') AND asked.rank = ranked.rank
        LOOP
            ids[decided.place] := decided.id;
            dispositions[decided.place] := 'created';
        END LOOP;

        SELECT job.queueing_lock INTO refused
        FROM unnest(queueing_locks, on_conflict, ids) AS job (queueing_lock, on_conflict, id)
        WHERE job.id IS NULL AND job.queueing_lock IS NOT NULL AND coalesce(job.on_conflict, 'refuse') = 'refuse'
        LIMIT 1;
        IF FOUND THEN
            PERFORM {schema}.postpone_refuse_enqueued(refused, NULL);
        END IF;

        -- Of each queueing lock, the last job that replaces, or any.
        SELECT array_agg(queueing_lock) AS queueing_locks, array_agg(on_conflict = 'replace') AS replaces,
               array_agg(task) AS tasks, array_agg(args) AS args, array_agg(priority) AS priorities,
               array_agg(scheduled_at) AS scheduled_at, array_agg(meta) AS meta
        INTO wanted
        FROM (SELECT DISTINCT ON (job.queueing_lock) job.*
              FROM unnest(tasks, p_args, priorities, queueing_locks, p_scheduled_at, on_conflict, p_meta, ids)
                  WITH ORDINALITY AS job (task, args, priority, queueing_lock, scheduled_at, on_conflict, meta, id, place)
              WHERE job.id IS NULL
              ORDER BY job.queueing_lock, job.on_conflict = 'replace' DESC, job.place DESC) AS last;
        EXIT WHEN wanted.tasks IS NULL;

        FOR decided IN
            WITH met AS MATERIALIZED (
                SELECT * FROM {schema}.postpone_meet_waiting(
                    wanted.queueing_locks, wanted.replaces, wanted.tasks, wanted.args, wanted.priorities,
                    wanted.scheduled_at, wanted.meta)
                WHERE NOT as_owner
                UNION ALL
                SELECT * FROM {schema}.postpone_meet_waiting_as_owner(
                    wanted.queueing_locks, wanted.replaces, wanted.tasks, wanted.args, wanted.priorities,
                    wanted.scheduled_at, wanted.meta)
                WHERE as_owner
            )
            SELECT job.place, met.job_id AS id, CASE job.on_conflict WHEN 'replace' THEN 'replaced' ELSE 'kept' END AS what
            FROM unnest(queueing_locks, on_conflict, ids) WITH ORDINALITY AS job (queueing_lock, on_conflict, id, place)
            JOIN met ON met.queueing_lock = job.queueing_lock
            WHERE job.id IS NULL
        LOOP
            ids[decided.place] := decided.id;
            dispositions[decided.place] := decided.what;
        END LOOP;
        EXIT WHEN array_position(ids, NULL) IS NULL;
    END LOOP;
    IF array_position(ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'the jobs that wait under queueing lock "%" and others come and go too fast', wanted.queueing_locks[1]
            USING ERRCODE = 'serialization_failure', HINT = 'Try the transaction again';
    END IF;
    RETURN QUERY SELECT job.id, job.disposition FROM unnest(ids, dispositions) AS job (id, disposition);
END
$$;
