-- Oldest program: 7
--
-- What every job paid for.

-- In the order in which jobs are deferred, run and finished: no traffic can deadlock with this.
LOCK TABLE procrastinate_jobs, procrastinate_events, postpone_attempts IN ACCESS EXCLUSIVE MODE;

-- Foreign keys whose promise a trigger of sql/functions/references.sql keeps from now on.
DO $$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT conrelid::regclass AS holder, conname AS name
        FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'procrastinate_jobs'::regclass
          AND conrelid IN ('procrastinate_events'::regclass, 'postpone_attempts'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.holder, key.name);
    END LOOP;
END
$$;

-- Each version of a row that waits or runs had an entry in it, which nothing of ours needs.
DROP INDEX IF EXISTS procrastinate_jobs_id_lock_idx_v1;
