-- Oldest program: 7
--
-- Parked jobs, and the order in which a fetch walks (sql/functions/find.sql, parked.sql).
LOCK TABLE procrastinate_jobs, procrastinate_periodic_defers IN ACCESS EXCLUSIVE MODE;
DO $$
BEGIN
    IF to_regtype(quote_ident(current_schema()) || '.postpone_parking') IS NULL THEN
        -- Why a waiting job is left out of the indexes that fetches walk.
        CREATE TYPE postpone_parking AS ENUM ('time', 'lock');
    END IF;
END
$$;
ALTER TABLE procrastinate_jobs ADD COLUMN IF NOT EXISTS parked postpone_parking;

-- A walk may begin anywhere in these, which a mixed order does not allow. That of the queues serves each fetch of named
-- queues; the index that it follows had an entry for every version of every job, of which only lists of one queue's ended jobs
-- made use.
CREATE INDEX IF NOT EXISTS postpone_jobs_order_idx
    ON procrastinate_jobs ((-priority::bigint), id) WHERE status = 'todo' AND parked IS NULL;
CREATE INDEX IF NOT EXISTS postpone_jobs_queue_order_idx
    ON procrastinate_jobs (queue_name, (-priority::bigint), id) WHERE status = 'todo' AND parked IS NULL;
DROP INDEX IF EXISTS procrastinate_jobs_priority_idx_v1;
DROP INDEX IF EXISTS procrastinate_jobs_queue_name_idx_v1;

-- When the next job is due, of those that are not parked. (postpone_jobs_due_idx had all.)
CREATE INDEX IF NOT EXISTS postpone_jobs_schedule_idx
    ON procrastinate_jobs (scheduled_at) WHERE status = 'todo' AND parked IS NULL AND scheduled_at IS NOT NULL;
DROP INDEX IF EXISTS postpone_jobs_due_idx;
-- When the next of them is to be unparked. One whose schedule was taken away by hand comes first.
CREATE INDEX IF NOT EXISTS postpone_jobs_parked_idx
    ON procrastinate_jobs (coalesce(scheduled_at, '-infinity')) WHERE status = 'todo' AND parked = 'time';

-- Behind which locks jobs are parked.
CREATE INDEX IF NOT EXISTS postpone_jobs_parked_lock_idx
    ON procrastinate_jobs (lock) WHERE status = 'todo' AND parked = 'lock';

-- Locks that may have become free, and behind which jobs are parked. Nearly always empty, and scanned by each fetch from the top.
CREATE TABLE IF NOT EXISTS postpone_noted_locks (lock text NOT NULL);
ALTER TABLE postpone_noted_locks SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
GRANT SELECT ON postpone_noted_locks TO PUBLIC;

-- The last foreign key whose promise a trigger of sql/functions/references.sql keeps from now on: each deleted job made the server
-- look for periodic defers that name it.
DO $$
DECLARE
    key name;
BEGIN
    FOR key IN
        SELECT conname FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'procrastinate_jobs'::regclass
          AND conrelid = 'procrastinate_periodic_defers'::regclass
    LOOP
        EXECUTE format('ALTER TABLE procrastinate_periodic_defers DROP CONSTRAINT %I', key);
    END LOOP;
END
$$;

-- Schedules: what supervisors announce, and what people have paused (sql/functions/schedules.sql).

-- Columns from cron to args are what the supervisor says that announced it last. Ticks up to `since` are none of this
-- schedule: it did not exist then, or was another one, or was paused.
CREATE TABLE IF NOT EXISTS postpone_schedules (
    task_name varchar(128) NOT NULL,
    periodic_id varchar(128) NOT NULL DEFAULT '',
    cron text NOT NULL,
    zone text NOT NULL,
    missed text NOT NULL,
    missed_within double precision NOT NULL,  -- seconds
    queue_name varchar(128) NOT NULL,
    priority integer NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb NOT NULL,
    since timestamptz NOT NULL,
    announced_at timestamptz NOT NULL,
    announced_by text NOT NULL,
    last_tick timestamptz,
    last_job_id bigint,
    paused_at timestamptz,
    PRIMARY KEY (task_name, periodic_id)
);

-- What a job may bring along beside its arguments: an object, or null. Its size is bounded by a trigger
-- (sql/functions/defer.sql): another CHECK on this table would keep jobs from being claimed (sql/functions/claims.sql).
ALTER TABLE procrastinate_jobs ADD COLUMN IF NOT EXISTS meta jsonb;
-- Its successor takes more parameters, which have defaults.
DROP FUNCTION IF EXISTS postpone_defer(text, jsonb, text, integer, text, text, timestamptz);

-- Results and progress of jobs (sql/functions/results.sql), and which queues a worker serves (null: it has not said so; empty:
-- all), for the view postpone_jobs.
ALTER TABLE postpone_workers ADD COLUMN IF NOT EXISTS queues text[];

-- A row for each job that gave a result or told its progress. No foreign key: see sql/functions/references.sql.
CREATE TABLE IF NOT EXISTS postpone_results (
    job_id bigint PRIMARY KEY,
    attempt integer NOT NULL,
    result jsonb,
    progress_done bigint,
    progress_total bigint,  -- 0 = not known
    progress_note text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

DROP FUNCTION IF EXISTS postpone_fetch_around(varchar[], bigint, bigint[], text[]);
DROP FUNCTION IF EXISTS postpone_fetch_jobs(
    varchar[], bigint, integer, bigint[], text[], boolean, boolean, text[], integer, integer, bigint);
DROP FUNCTION IF EXISTS postpone_register_worker(text, text, text, integer);

-- Retry budgets (functions/retry_and_cancel.sql): attempts that do not count against max_attempts, and how many a person
-- has granted. Constant defaults: no row is written.
ALTER TABLE procrastinate_jobs
    ADD COLUMN IF NOT EXISTS uncounted_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS attempts_allowed integer;
-- The jobs that a job defers inherit its meta, which is sent once.
DROP FUNCTION IF EXISTS postpone_defer_followers(jsonb);
-- They have one parameter more, with a default.
DROP FUNCTION IF EXISTS postpone_retry_job(bigint, timestamptz, integer, text, text);
DROP FUNCTION IF EXISTS postpone_requeue_job(
    bigint, procrastinate_job_status[], timestamptz, integer, varchar, text);
