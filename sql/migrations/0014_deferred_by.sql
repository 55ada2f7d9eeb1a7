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

-- Functions that have other parameters or results now.
DROP FUNCTION IF EXISTS postpone_are_more(varchar[], bigint[], bigint[], text[]);
DROP FUNCTION IF EXISTS postpone_find_jobs(varchar[], integer, bigint[], text[], text[], integer, bigint);
DROP FUNCTION IF EXISTS postpone_take_jobs(
    varchar[], bigint, integer, bigint[], text[], boolean, boolean, boolean, text[], integer, bigint);
DROP FUNCTION IF EXISTS postpone_walk(
    varchar, varchar[], bigint, bigint, bigint, bigint, integer, bigint[], text[], text[]);
DROP FUNCTION IF EXISTS postpone_walk_queues(
    varchar[], bigint, bigint, bigint, bigint, integer, bigint[], text[], text[]);
