-- Oldest program: 7
--
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
