-- Oldest program: 7
--
-- Functions that have other parameters or results now.

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
