-- Defer: how jobs are created, by applications, by Python's clients and by schedules.
--
-- In all these files {schema} stands for the schema that Postpone is installed in. `postpone schema apply` writes its
-- quoted name there, so that a function finds its tables, types and kin whatever search_path its caller has. That costs
-- nothing at run time. (A clause SET search_path would be paid for at each call, and would take the path away from
-- triggers of the application that fire inside.)

-- Creates all jobs, or none; their ids in the order of the array, null for an empty one.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_defer_jobs_v1(jobs {schema}.procrastinate_job_to_defer_v1[])
RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH created AS (
        INSERT INTO {schema}.procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT job.queue_name, job.task_name, coalesce(job.priority, 0), job.lock, job.queueing_lock,
               coalesce(job.args, '{}'), job.scheduled_at
        FROM unnest(jobs) WITH ORDINALITY AS job
        ORDER BY job.ordinality
        RETURNING id
    )
    SELECT array_agg(id ORDER BY id) INTO job_ids FROM created;
    RETURN job_ids;
END
$$;

-- The form for applications: SELECT postpone_defer('mail.send', '{"to": "ann"}', queue => 'mail').
CREATE OR REPLACE FUNCTION {schema}.postpone_defer(
    task text, args jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 0,
    lock text DEFAULT NULL, queueing_lock text DEFAULT NULL, scheduled_at timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    IF task IS NULL OR queue IS NULL THEN
        RAISE EXCEPTION 'postpone_defer: the % is null', CASE WHEN task IS NULL THEN 'task' ELSE 'queue' END
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    RETURN ({schema}.procrastinate_defer_jobs_v1(ARRAY[
        ROW(queue, task, priority, lock, queueing_lock, args, scheduled_at)::{schema}.procrastinate_job_to_defer_v1]))[1];
END
$$;

-- Once per (task, periodic_id, timestamp), whichever of many schedulers comes first; null for the others.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_defer_periodic_job_v2(
    _queue_name varchar, _lock varchar, _queueing_lock varchar, _task_name varchar, _priority integer,
    _periodic_id varchar, _defer_timestamp bigint, _args jsonb)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    defer_id bigint;
    deferred_job_id bigint;
BEGIN
    INSERT INTO {schema}.procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
    VALUES (_task_name, _periodic_id, _defer_timestamp)
    ON CONFLICT ON CONSTRAINT procrastinate_periodic_defers_unique DO NOTHING
    RETURNING id INTO defer_id;
    IF defer_id IS NULL THEN
        RETURN NULL;
    END IF;

    deferred_job_id := {schema}.postpone_defer(_task_name, _args, _queue_name, _priority, _lock, _queueing_lock);
    UPDATE {schema}.procrastinate_periodic_defers SET job_id = deferred_job_id WHERE id = defer_id;
    DELETE FROM {schema}.procrastinate_periodic_defers
    WHERE task_name = _task_name AND periodic_id = _periodic_id AND defer_timestamp < _defer_timestamp;
    RETURN deferred_job_id;
END
$$;
