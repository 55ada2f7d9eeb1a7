-- Fetch, after one has failed: past the jobs that the database refuses to start.

-- Whether an error of this state is no fault of the data: it passes with time (the connection, a conflict
-- with another session, resources), or an operator caused it on purpose. The same list as remedy_for() in
-- sql/error.cc.
CREATE OR REPLACE FUNCTION {schema}.postpone_is_passing(state text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT left(state, 2) IN ('08', '53', '58')
        OR state IN ('40001', '40P01', '55P03', '57014', '57P01', '57P02', '57P03', '57P05', '25P03', '25006')
$$;

-- A worker calls this after its fetch has failed. A job that cannot be started (a trigger of the application
-- raises, a check of its own fails) must not keep all others from being fetched. The function tries jobs one
-- by one, each in a subtransaction, until it has started one. For each job that cannot be started it returns
-- a row of its own, with the error as refused_because; the job waits as before, and the caller passes it over
-- from then on. Where twenty jobs of one task are refused, it passes over all of that task: there may be
-- thousands. After fifty refusals, or one second, it returns and the caller calls again, because until the
-- commit it holds the worker's row and all jobs that it has tried.
--
-- A conflict counts as a refusal here: the caller has met it several times before. A privilege or an object
-- that is missing does not: that is no fault of a row.
CREATE OR REPLACE FUNCTION {schema}.postpone_fetch_around(
    target_queue_names varchar[], p_worker_id bigint, passed_over bigint[], passed_over_tasks text[] DEFAULT NULL)
RETURNS TABLE (id bigint, queue_name varchar, task_name varchar, priority integer, lock text, queueing_lock text,
               args jsonb, scheduled_at timestamptz, attempts integer, more boolean, refused_because text,
               meta jsonb, deferred_by bigint)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_column
DECLARE
    found_ids bigint[];
    is_parked boolean;
    parked_ids bigint[] := '{}';
    began_at timestamptz := clock_timestamp();
    refusals integer := 0;
    refused_tasks text[] := '{}';
    refused_task text;
    collided_ids bigint[] := '{}';
    violated text;
    refusal text;
BEGIN
    PERFORM {schema}.postpone_hold_worker(p_worker_id);
    FOR round IN 1 .. 1000 LOOP
        EXIT WHEN refusals >= 50 OR clock_timestamp() > began_at + interval '1 second';
        found_ids := {schema}.postpone_due_parked(1, passed_over || parked_ids, passed_over_tasks);
        is_parked := found_ids <> '{}';
        IF NOT is_parked THEN
            found_ids := (SELECT job_ids
                          FROM {schema}.postpone_find_jobs(
                              target_queue_names, 1, passed_over, passed_over_tasks, NULL, NULL));
            EXIT WHEN found_ids IS NULL;
            passed_over := passed_over || found_ids;
            CONTINUE WHEN {schema}.postpone_unclaimed(found_ids) = '{}';
        END IF;
        violated := NULL;
        BEGIN
            -- What is checked at the commit only is checked here, where it can be caught.
            SET CONSTRAINTS ALL IMMEDIATE;
            IF is_parked THEN
                PERFORM {schema}.postpone_announce_unparked({schema}.postpone_set_parked(found_ids, NULL), NULL);
                parked_ids := parked_ids || found_ids;
                CONTINUE;
            END IF;
            PERFORM {schema}.postpone_start_jobs(found_ids, p_worker_id);
            RETURN QUERY
            SELECT job.id, job.queue_name, job.task_name, job.priority, job.lock, job.queueing_lock, job.args,
                   job.scheduled_at, job.attempts, true, NULL::text, job.meta, job.deferred_by
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = ANY (found_ids) AND job.status::text = 'doing';
            EXIT;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF {schema}.postpone_is_passing(sqlstate) AND left(sqlstate, 2) NOT IN ('40', '55')
                OR sqlstate IN ('42501', '42P01', '42703', '42704', '42883', '3F000')
            THEN
                RAISE;
            END IF;
            refusal := format('%s (SQLSTATE %s)', sqlerrm, sqlstate);
            passed_over := passed_over || found_ids;
        END;
        -- Another fetch has started a job of this lock since: nothing is wrong with this one.
        IF violated = 'procrastinate_jobs_lock_idx_v1' THEN
            collided_ids := collided_ids || found_ids;
            CONTINUE;
        END IF;
        RETURN QUERY
        SELECT job.id, job.queue_name, job.task_name, job.priority, job.lock, job.queueing_lock, job.args,
               job.scheduled_at, job.attempts, true, refusal, job.meta, job.deferred_by
        FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (found_ids);
        refused_task := (SELECT job.task_name FROM {schema}.procrastinate_jobs AS job WHERE job.id = ANY (found_ids));
        refused_tasks := refused_tasks || refused_task;
        refusals := refusals + 1;
        IF cardinality(array_positions(refused_tasks, refused_task)) >= 20 THEN
            passed_over_tasks := passed_over_tasks || refused_task;
        END IF;
    END LOOP;
    -- As in postpone_take_jobs: these stay locked until we commit, and other fetchers, woken for them, skip
    -- them.
    PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (collided_ids)
    GROUP BY job.queue_name;
END
$$;
