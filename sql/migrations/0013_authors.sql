-- Oldest program: 7
--
-- Functions that have other parameters or results now.

-- Retry budgets (functions/retry_and_cancel.sql): attempts that do not count against max_attempts, and how many a person
-- has granted. Constant defaults: no row is written.
ALTER TABLE procrastinate_jobs
    ADD COLUMN IF NOT EXISTS uncounted_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS attempts_allowed integer;
-- They have one parameter more, with a default.
DROP FUNCTION IF EXISTS postpone_retry_job(bigint, timestamptz, integer, text, text);
DROP FUNCTION IF EXISTS postpone_requeue_job(
    bigint, procrastinate_job_status[], timestamptz, integer, varchar, text);
