-- Oldest program: 7
--
-- Foreign keys whose promises the triggers of sql/functions/references.sql keep from now on.
DO $$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT conrelid::regclass AS holder, conname AS name
        FROM pg_constraint
        WHERE contype = 'f' AND (conrelid, confrelid) IN (
            ('procrastinate_jobs'::regclass, 'procrastinate_workers'::regclass),
            ('procrastinate_events'::regclass, 'procrastinate_jobs'::regclass),
            ('procrastinate_periodic_defers'::regclass, 'procrastinate_jobs'::regclass),
            ('postpone_attempts'::regclass, 'procrastinate_jobs'::regclass))
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.holder, key.name);
    END LOOP;
END
$$;
