-- A database as Procrastinate 3.9 leaves it after some use, in our own words: its names, types and signatures,
-- row-level triggers, and jobs in every state. The bodies of the functions are stand-ins; only that they are
-- replaced matters.

CREATE TYPE procrastinate_job_status AS ENUM (
    'todo', 'doing', 'succeeded', 'failed', 'cancelled', 'aborting', 'aborted');
CREATE TYPE procrastinate_job_event_type AS ENUM (
    'deferred', 'started', 'deferred_for_retry', 'failed', 'succeeded', 'cancelled', 'abort_requested', 'aborted',
    'scheduled', 'retried');
CREATE TYPE procrastinate_job_to_defer_v1 AS (
    queue_name varchar, task_name varchar, priority integer, lock text, queueing_lock text, args jsonb,
    scheduled_at timestamptz);

CREATE TABLE procrastinate_workers (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    last_heartbeat timestamptz NOT NULL DEFAULT now());
CREATE TABLE procrastinate_jobs (
    id bigserial PRIMARY KEY,
    queue_name varchar(128) NOT NULL,
    task_name varchar(128) NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb DEFAULT '{}' NOT NULL,
    status procrastinate_job_status DEFAULT 'todo' NOT NULL,
    scheduled_at timestamptz,
    attempts integer DEFAULT 0 NOT NULL,
    abort_requested boolean DEFAULT false NOT NULL,
    worker_id bigint REFERENCES procrastinate_workers (id) ON DELETE SET NULL,
    CONSTRAINT check_not_todo_abort_requested CHECK (NOT (status = 'todo' AND abort_requested = true)));
CREATE TABLE procrastinate_periodic_defers (
    id bigserial PRIMARY KEY,
    task_name varchar(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint REFERENCES procrastinate_jobs (id),
    periodic_id varchar(128) DEFAULT '' NOT NULL,
    CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp));
CREATE TABLE procrastinate_events (
    id bigserial PRIMARY KEY,
    job_id bigint NOT NULL REFERENCES procrastinate_jobs ON DELETE CASCADE,
    type procrastinate_job_event_type,
    at timestamptz DEFAULT now());

CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs (queueing_lock) WHERE status = 'todo';
CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON procrastinate_jobs (lock) WHERE status = 'doing';
CREATE INDEX procrastinate_jobs_priority_idx_v1 ON procrastinate_jobs (priority DESC, id) WHERE status = 'todo';
CREATE INDEX procrastinate_jobs_queue_name_idx_v1 ON procrastinate_jobs (queue_name);
CREATE INDEX procrastinate_jobs_id_lock_idx_v1 ON procrastinate_jobs (id, lock) WHERE status IN ('todo', 'doing');
CREATE INDEX idx_procrastinate_jobs_worker_not_null
    ON procrastinate_jobs (worker_id) WHERE worker_id IS NOT NULL AND status = 'doing';
CREATE INDEX procrastinate_events_job_id_fkey_v1 ON procrastinate_events (job_id);
CREATE INDEX procrastinate_periodic_defers_job_id_fkey_v1 ON procrastinate_periodic_defers (job_id);
CREATE INDEX idx_procrastinate_workers_last_heartbeat ON procrastinate_workers (last_heartbeat);

-- What clients call.
CREATE FUNCTION procrastinate_defer_jobs_v1(jobs procrastinate_job_to_defer_v1[]) RETURNS bigint[]
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_defer_periodic_job_v2(
    _queue_name varchar, _lock varchar, _queueing_lock varchar, _task_name varchar, _priority integer, _periodic_id varchar,
    _defer_timestamp bigint, _args jsonb) RETURNS bigint
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_fetch_job_v2(target_queue_names varchar[], p_worker_id bigint) RETURNS procrastinate_jobs
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_finish_job_v1(job_id bigint, end_status procrastinate_job_status, delete_job boolean)
    RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean) RETURNS bigint
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_retry_job_v1(
    job_id bigint, retry_at timestamptz, new_priority integer, new_queue_name varchar, new_lock varchar) RETURNS void
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_retry_job_v2(
    job_id bigint, retry_at timestamptz, new_priority integer, new_queue_name varchar, new_lock varchar) RETURNS void
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_register_worker_v1() RETURNS TABLE (worker_id bigint)
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_unregister_worker_v1(worker_id bigint) RETURNS void
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint) RETURNS void
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;
CREATE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat float) RETURNS TABLE (worker_id bigint)
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'not replaced'; END $$;

-- An older version that some client may still call: adoption leaves it alone.
CREATE FUNCTION procrastinate_fetch_job_v1(target_queue_names varchar[]) RETURNS procrastinate_jobs
    LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;

-- What the triggers call. All of them leave a mark in the events, so that one that survives is seen.
CREATE FUNCTION procrastinate_notify_queue_job_inserted_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO procrastinate_events (job_id, type) VALUES (NEW.id, 'aborted'); RETURN NEW; END $$;
CREATE FUNCTION procrastinate_notify_queue_abort_job_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO procrastinate_events (job_id, type) VALUES (NEW.id, 'aborted'); RETURN NEW; END $$;
CREATE FUNCTION procrastinate_trigger_function_status_events_insert_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO procrastinate_events (job_id, type) VALUES (NEW.id, 'aborted'); RETURN NEW; END $$;
CREATE FUNCTION procrastinate_trigger_function_status_events_update_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO procrastinate_events (job_id, type) VALUES (NEW.id, 'aborted'); RETURN NEW; END $$;
CREATE FUNCTION procrastinate_trigger_function_scheduled_events_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO procrastinate_events (job_id, type) VALUES (NEW.id, 'aborted'); RETURN NEW; END $$;
CREATE FUNCTION procrastinate_trigger_abort_requested_events_procedure_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO procrastinate_events (job_id, type) VALUES (NEW.id, 'aborted'); RETURN NEW; END $$;
CREATE FUNCTION procrastinate_unlink_periodic_defers_v1() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE 'not replaced'; END $$;

-- Jobs in every state. Ids 1 to 10.
INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now() - interval '1 hour');
INSERT INTO procrastinate_jobs
    (queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, abort_requested, worker_id)
VALUES
    ('default', 'app.mail', 0, NULL, NULL, '{"to": "ann"}', 'succeeded', NULL, 1, false, 1),
    ('default', 'app.mail', 0, NULL, NULL, '{"to": "bob"}', 'failed', NULL, 3, false, 2),
    ('default', 'app.mail', 0, NULL, NULL, '{"to": "cat"}', 'cancelled', NULL, 0, true, NULL),
    ('default', 'app.mail', 0, NULL, NULL, '{"to": "dan"}', 'aborted', NULL, 1, false, 1),
    ('reports', 'app.build', 0, 'disk', NULL, '{}', 'doing', NULL, 0, true, 1),
    ('reports', 'app.build', 0, 'disk', NULL, '{}', 'todo', NULL, 0, false, NULL),
    ('reports', 'app.build', 9, NULL, 'nightly', '{}', 'todo', now() + interval '1 day', 0, false, NULL),
    ('default', 'app.mail', 5, NULL, NULL, '{"to": "eve"}', 'todo', NULL, 2, false, 2),
    ('default', 'app.sweep', 0, NULL, NULL, '{"timestamp": 1700000000}', 'succeeded', NULL, 1, false, 1),
    ('default', 'app.hang', 0, NULL, NULL, '{}', 'doing', NULL, 0, false, NULL);
INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id, periodic_id)
VALUES ('app.sweep', 1700000000, 9, '');
INSERT INTO procrastinate_events (job_id, type) SELECT id, 'deferred' FROM procrastinate_jobs;

CREATE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1 AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.status = 'todo') EXECUTE PROCEDURE procrastinate_notify_queue_job_inserted_v1();
CREATE TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1 AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.abort_requested AND NOT OLD.abort_requested AND NEW.status = 'doing')
    EXECUTE PROCEDURE procrastinate_notify_queue_abort_job_v1();
CREATE TRIGGER procrastinate_trigger_status_events_insert_v1 AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.status = 'todo') EXECUTE PROCEDURE procrastinate_trigger_function_status_events_insert_v1();
CREATE TRIGGER procrastinate_trigger_status_events_update_v1 AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW EXECUTE PROCEDURE procrastinate_trigger_function_status_events_update_v1();
CREATE TRIGGER procrastinate_trigger_scheduled_events_v1 AFTER INSERT OR UPDATE ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.scheduled_at IS NOT NULL AND NEW.status = 'todo')
    EXECUTE PROCEDURE procrastinate_trigger_function_scheduled_events_v1();
CREATE TRIGGER procrastinate_trigger_abort_requested_events_v1 AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN (NEW.abort_requested) EXECUTE PROCEDURE procrastinate_trigger_abort_requested_events_procedure_v1();
CREATE TRIGGER procrastinate_trigger_delete_jobs_v1 BEFORE DELETE ON procrastinate_jobs
    FOR EACH ROW EXECUTE PROCEDURE procrastinate_unlink_periodic_defers_v1();
