-- Oldest program: 1
--
-- Types, tables and indexes.
--
-- Everything named procrastinate_* is the contract with Procrastinate 3.x: Python programs rely on these names,
-- types and labels. Everything named postpone_* is our own. This migration works on an empty schema and on one in
-- which Procrastinate 3.2 to 3.9 is installed and in use; there it keeps all rows and adds what is missing.
--
-- Rules for every migration: one transaction runs them all; each may be run again without harm; no name is
-- qualified, so that whichever schema comes first in search_path receives the objects. Its first line names the oldest
-- program, by the schema version that is built into it, that can work on a database with this migration and with the
-- functions of its time: an older program refuses to start there, a younger one runs (see docs/backup.md).

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'database % has the encoding %, Postpone needs UTF8', current_database(),
            current_setting('server_encoding')
            USING HINT = 'Create a database with ENCODING ''UTF8'' TEMPLATE template0, and move what is in this one there';
    END IF;
    IF to_regclass(format('%I.procrastinate_jobs', current_schema())) IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = to_regclass(format('%I.procrastinate_jobs', current_schema()))
                          AND attname = 'worker_id' AND NOT attisdropped)
    THEN
        RAISE EXCEPTION 'schema % holds a Procrastinate older than 3.2, which cannot be adopted', current_schema()
            USING HINT = 'Bring it to 3.2 or later with Procrastinate''s own migrations, then run: postpone schema apply';
    END IF;
END
$$;

-- Types. PostgreSQL has no CREATE TYPE IF NOT EXISTS. The labels of the status enum are compared one by one by
-- Python clients: none may be added. Its label `aborting` is a legacy that nothing writes.
DO $$
DECLARE
    here text := quote_ident(current_schema());
BEGIN
    IF to_regtype(here || '.procrastinate_job_status') IS NULL THEN
        CREATE TYPE procrastinate_job_status AS ENUM (
            'todo', 'doing', 'succeeded', 'failed', 'cancelled', 'aborting', 'aborted');
    END IF;
    IF to_regtype(here || '.procrastinate_job_event_type') IS NULL THEN
        CREATE TYPE procrastinate_job_event_type AS ENUM (
            'deferred', 'started', 'deferred_for_retry', 'failed', 'succeeded', 'cancelled', 'abort_requested',
            'aborted', 'scheduled', 'retried');
    END IF;
    IF to_regtype(here || '.procrastinate_job_to_defer_v1') IS NULL THEN
        CREATE TYPE procrastinate_job_to_defer_v1 AS (
            queue_name varchar, task_name varchar, priority integer, lock text, queueing_lock text, args jsonb,
            scheduled_at timestamptz);
    END IF;
    IF to_regtype(here || '.postpone_cause') IS NULL THEN
        -- Why an attempt ended. The same closed set as sql/job.h, Cause.
        CREATE TYPE postpone_cause AS ENUM (
            'succeeded', 'exception', 'bad_arguments', 'unknown_task', 'exited', 'signalled', 'memory_limit',
            'timed_out', 'aborted', 'protocol_error', 'output_flood', 'worker_lost', 'poison', 'superseded');
    END IF;
    IF to_regtype(here || '.postpone_action') IS NULL THEN
        -- What is to become of a job that was run. The same closed set as sql/job.h, Action.
        CREATE TYPE postpone_action AS ENUM ('succeed', 'fail', 'abort', 'retry', 'release');
    END IF;
END
$$;

-- Early 3.x versions lack this label. A label added here cannot be used before the transaction has committed,
-- so no migration may write one; functions may name it.
ALTER TYPE procrastinate_job_event_type ADD VALUE IF NOT EXISTS 'retried';

-- A row is a lease: while it exists, its worker may fetch and finish. Deleting it ends the lease at once.
CREATE TABLE IF NOT EXISTS procrastinate_workers (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    last_heartbeat timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS procrastinate_jobs (
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
    CONSTRAINT check_not_todo_abort_requested CHECK (NOT (status = 'todo' AND abort_requested))
);

-- A table that existed before may lack some of these.
ALTER TABLE procrastinate_jobs
    ALTER queue_name SET NOT NULL, ALTER task_name SET NOT NULL,
    ALTER priority SET NOT NULL, ALTER priority SET DEFAULT 0,
    ALTER args SET NOT NULL, ALTER args SET DEFAULT '{}',
    ALTER status SET NOT NULL, ALTER status SET DEFAULT 'todo',
    ALTER attempts SET NOT NULL, ALTER attempts SET DEFAULT 0,
    ALTER abort_requested SET NOT NULL, ALTER abort_requested SET DEFAULT false;

CREATE TABLE IF NOT EXISTS procrastinate_periodic_defers (
    id bigserial PRIMARY KEY,
    task_name varchar(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint,
    periodic_id varchar(128) DEFAULT '' NOT NULL,
    CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp)
);

CREATE TABLE IF NOT EXISTS procrastinate_events (
    id bigserial PRIMARY KEY,
    job_id bigint NOT NULL,
    type procrastinate_job_event_type,
    at timestamptz DEFAULT now()
);

CREATE TABLE IF NOT EXISTS postpone_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Who holds a lease, in words. Workers without such a row are foreign: Python's.
CREATE TABLE IF NOT EXISTS postpone_workers (
    worker_id bigint PRIMARY KEY REFERENCES procrastinate_workers (id) ON DELETE CASCADE,
    supervisor text NOT NULL,
    host text NOT NULL,
    name text NOT NULL,
    pid integer NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- How each attempt ended. worker_id has no foreign key: it outlives the lease, and names the worker for the check
-- whether an outcome that comes a second time was recorded before.
CREATE TABLE IF NOT EXISTS postpone_attempts (
    job_id bigint NOT NULL,
    attempt integer NOT NULL,
    cause postpone_cause NOT NULL,
    exception_type text,
    message text,
    signal integer,
    exit_status integer,
    stderr_tail text,
    run_time double precision,  -- seconds
    cpu_time double precision,  -- seconds
    max_rss bigint,             -- bytes
    worker_id bigint,
    worker_name text,
    superseded_by bigint,       -- the waiting job that held the queueing lock
    ended_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, attempt)
);

-- The foreign keys that leases and deletions rest on, where they are missing or say something else.
DO $$
DECLARE
    wanted record;
    definition text;
    other name;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES ('procrastinate_jobs', 'worker_id', 'procrastinate_workers', 'SET NULL'),
                     ('postpone_workers', 'worker_id', 'procrastinate_workers', 'CASCADE'))
            AS key (holder, key_column, target, action)
    LOOP
        definition := format(
            'FOREIGN KEY (%s) REFERENCES %s(id) ON DELETE %s', wanted.key_column, wanted.target, wanted.action);
        CONTINUE WHEN EXISTS (SELECT FROM pg_constraint
                              WHERE conrelid = wanted.holder::regclass AND pg_get_constraintdef(oid) = definition);
        FOR other IN
            SELECT conname
            FROM pg_constraint
            WHERE conrelid = wanted.holder::regclass AND contype = 'f'
              AND starts_with(pg_get_constraintdef(oid), format('FOREIGN KEY (%s) ', wanted.key_column))
        LOOP
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', wanted.holder, other);
        END LOOP;
        EXECUTE format('ALTER TABLE %I ADD %s', wanted.holder, definition);
    END LOOP;
END
$$;

-- The two unique indexes below decide what may wait and what may run. One of the same name that says something else,
-- or was never finished (CREATE INDEX CONCURRENTLY leaves such), gives way.
DO $$
DECLARE
    other text;
BEGIN
    FOR other IN
        SELECT name
        FROM (VALUES ('procrastinate_jobs_queueing_lock_idx_v1',
                      'btree (queueing_lock) WHERE status = ''todo''::procrastinate_job_status'),
                     ('procrastinate_jobs_lock_idx_v1',
                      'btree (lock) WHERE status = ''doing''::procrastinate_job_status')) AS wanted (name, definition)
        JOIN pg_index ON indexrelid = to_regclass(name)
        WHERE NOT (indisunique AND indisvalid)
           OR split_part(pg_get_indexdef(indexrelid, 0, true), ' USING ', 2) <> definition
    LOOP
        EXECUTE format('DROP INDEX %I', other);
    END LOOP;
END
$$;

-- Indexes whose names clients match on: a violation of the first means "already enqueued"; the second is the last
-- line of defence for locks, and the only index of all jobs that run: those without a lock are in it, too.
CREATE UNIQUE INDEX IF NOT EXISTS procrastinate_jobs_queueing_lock_idx_v1
    ON procrastinate_jobs (queueing_lock) WHERE status = 'todo';
CREATE UNIQUE INDEX IF NOT EXISTS procrastinate_jobs_lock_idx_v1
    ON procrastinate_jobs (lock) WHERE status = 'doing';

-- The order in which a fetch walks.
CREATE INDEX IF NOT EXISTS procrastinate_jobs_priority_idx_v1
    ON procrastinate_jobs (priority DESC, id) WHERE status = 'todo';
-- Who is first of a lock: asked by the fetch for each job with a lock, and when a lock becomes free.
CREATE INDEX IF NOT EXISTS postpone_jobs_lock_order_idx
    ON procrastinate_jobs (lock, priority DESC, id) WHERE status = 'todo' AND lock IS NOT NULL;
-- When the next job becomes due.
CREATE INDEX IF NOT EXISTS postpone_jobs_due_idx
    ON procrastinate_jobs (scheduled_at) WHERE status = 'todo' AND scheduled_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS procrastinate_jobs_queue_name_idx_v1 ON procrastinate_jobs (queue_name);
CREATE INDEX IF NOT EXISTS procrastinate_events_job_id_fkey_v1 ON procrastinate_events (job_id);
CREATE INDEX IF NOT EXISTS procrastinate_periodic_defers_job_id_fkey_v1 ON procrastinate_periodic_defers (job_id);
CREATE INDEX IF NOT EXISTS idx_procrastinate_workers_last_heartbeat ON procrastinate_workers (last_heartbeat);

-- Procrastinate limits this index to jobs in `doing`. The foreign key's ON DELETE SET NULL asks for worker_id alone
-- and cannot use it then: each worker that leaves would scan all jobs.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_index
               WHERE indexrelid = to_regclass('idx_procrastinate_jobs_worker_not_null')
                 AND pg_get_expr(indpred, indrelid) LIKE '%status%')
    THEN
        DROP INDEX idx_procrastinate_jobs_worker_not_null;
    END IF;
END
$$;
CREATE INDEX IF NOT EXISTS idx_procrastinate_jobs_worker_not_null
    ON procrastinate_jobs (worker_id) WHERE worker_id IS NOT NULL;

GRANT SELECT ON postpone_migrations TO PUBLIC;
