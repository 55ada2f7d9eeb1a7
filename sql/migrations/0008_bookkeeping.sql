-- Oldest program: 7
--
-- What every job pays for and nothing needs. Foreign keys whose promise a trigger of sql/functions/references.sql keeps from now on.
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

-- Read by the fetch of Procrastinate's that ours replaces. Each version of a row that waits or runs was an entry.
DROP INDEX IF EXISTS procrastinate_jobs_id_lock_idx_v1;

-- Jobs without a lock need no place among the running locks.
DROP INDEX IF EXISTS procrastinate_jobs_lock_idx_v1;
CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1
    ON procrastinate_jobs (lock) WHERE status = 'doing' AND lock IS NOT NULL;
