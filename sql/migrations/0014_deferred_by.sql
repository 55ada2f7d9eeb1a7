-- Oldest program: 7
--
-- Which job's handler has deferred a job: null where an application, a schedule or a person did. No foreign key: that job may be
-- deleted first, and a job that ends is not to look for those that it has deferred. No default: no row is written.
ALTER TABLE procrastinate_jobs ADD COLUMN IF NOT EXISTS deferred_by bigint;

-- They return it.
DROP FUNCTION IF EXISTS postpone_fetch_around(varchar[], bigint, bigint[], text[]);
DROP FUNCTION IF EXISTS postpone_fetch_jobs(
    varchar[], bigint, integer, bigint[], text[], boolean, boolean, text[], integer, integer, bigint);
-- It writes it.
DROP FUNCTION IF EXISTS postpone_defer_followers(jsonb, jsonb);
