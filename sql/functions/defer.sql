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

-- The form for applications: SELECT postpone_defer('mail.send', '{"to": "ann"}', queue => 'mail'). What on_conflict says is
-- at the head of enqueued.sql.
CREATE OR REPLACE FUNCTION {schema}.postpone_defer(
    task text, args jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 0,
    lock text DEFAULT NULL, queueing_lock text DEFAULT NULL, scheduled_at timestamptz DEFAULT NULL,
    on_conflict text DEFAULT 'refuse', meta jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    created_id bigint;
BEGIN
    IF task IS NULL OR queue IS NULL THEN
        RAISE EXCEPTION 'postpone_defer: the % is null', CASE WHEN task IS NULL THEN 'task' ELSE 'queue' END
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF on_conflict <> 'refuse' THEN
        RETURN (SELECT job_id FROM {schema}.postpone_defer_jobs(
            ARRAY[task], ARRAY[args], ARRAY[queue], ARRAY[priority], ARRAY[lock], ARRAY[queueing_lock],
            ARRAY[scheduled_at], ARRAY[on_conflict], ARRAY[meta]));
    END IF;
    INSERT INTO {schema}.procrastinate_jobs
        (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, meta)
    VALUES (queue, task, coalesce(priority, 0), lock, queueing_lock, coalesce(args, '{}'), scheduled_at, meta)
    RETURNING id INTO created_id;
    RETURN created_id;
END
$$;

-- The same for drivers that send a parameter as json, such as psycopg with Json. PostgreSQL does not turn json into jsonb by
-- itself. For a literal, or a parameter without a type, it has to choose between the two functions: it takes the one
-- above since text, the type of its first parameter, is the preferred one among types of strings, and varchar is not.
CREATE OR REPLACE FUNCTION {schema}.postpone_defer(
    task varchar, args json DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 0,
    lock text DEFAULT NULL, queueing_lock text DEFAULT NULL, scheduled_at timestamptz DEFAULT NULL,
    on_conflict text DEFAULT 'refuse', meta json DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN {schema}.postpone_defer(
        task::text, args::jsonb, queue, priority, lock, queueing_lock, scheduled_at, on_conflict, meta::jsonb);
END
$$;

-- What a job brings along is small: it is read and written with each job, and handed on to its followers.
CREATE OR REPLACE FUNCTION {schema}.postpone_check_meta() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    most_bytes constant integer := 8192;
BEGIN
    IF pg_catalog.jsonb_typeof(NEW.meta) OPERATOR(pg_catalog.<>) 'object' THEN
        RAISE EXCEPTION 'the meta of a job is a JSON object, and not of the type %', pg_catalog.jsonb_typeof(NEW.meta)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Such as {"tenant": "ann"}; or leave it out';
    END IF;
    IF pg_catalog.octet_length(NEW.meta::text) OPERATOR(pg_catalog.>) most_bytes THEN
        RAISE EXCEPTION 'the meta of a job has % bytes: it may have % at most', pg_catalog.octet_length(NEW.meta::text),
            most_bytes
            USING ERRCODE = 'invalid_parameter_value', HINT = 'What the handler works on belongs into the arguments';
    END IF;
    RETURN NULL;
END
$$;

-- After, and not before: a row trigger BEFORE UPDATE would switch off what postpone_skip_update_trigger() saves, and one
-- BEFORE INSERT makes COPY insert the rows one by one.
CREATE OR REPLACE TRIGGER postpone_check_meta AFTER INSERT OR UPDATE OF meta ON {schema}.procrastinate_jobs
    FOR EACH ROW WHEN (NEW.meta IS NOT NULL) EXECUTE FUNCTION {schema}.postpone_check_meta();

-- Once per (task, periodic_id, timestamp), whichever of many schedulers comes first; null for the others, and for a tick before
-- the last one that was deferred: earlier ticks are not kept, and a scheduler whose clock is behind would defer them again.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_defer_periodic_job_v2(
    _queue_name varchar, _lock varchar, _queueing_lock varchar, _task_name varchar, _priority integer,
    _periodic_id varchar, _defer_timestamp bigint, _args jsonb)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    defer_id bigint;
    deferred_job_id bigint;
BEGIN
    IF {schema}.postpone_last_periodic_defer(_task_name, _periodic_id) > _defer_timestamp THEN
        RETURN NULL;
    END IF;
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
