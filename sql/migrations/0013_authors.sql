-- Oldest program: 7
--
-- Functions that have other parameters or results now.

-- Results and progress of jobs (sql/functions/results.sql), what a job carries beside its arguments, and which queues a worker
-- serves (null: it has not said so; empty: all), for the view postpone_jobs.
ALTER TABLE procrastinate_jobs ADD COLUMN IF NOT EXISTS meta jsonb;
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
