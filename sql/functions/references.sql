-- References: what goes with a job or a worker when its row goes, and that nothing refers to a worker that is not there.
--
-- These promises were foreign keys. A key checks and locks a row for each row of a set: each event and each attempt its
-- job, each fetched job its worker; and each deleted job asks every table that might refer to it. That was a third of what
-- a job cost. It plans its check once for a session, too: where the jobs table was small then, as in an application
-- that was there first, each defer of that session reads all jobs from then on. The same promises for whole
-- statements cost next to nothing. They hold for any client, since they are kept by triggers:
--
--   a job is deleted      its events and attempts are deleted; periodic rows forget its number
--   a worker is deleted   its jobs forget it
--   a job gets a worker   that worker exists, and cannot be deleted before the transaction has ended
--
-- Nobody adds events or attempts to a job without holding its row: who deletes it waits, and then sees them.
--
-- As the actions of foreign keys do, these triggers run with the rights of the owner of the tables: who may delete a job
-- need not have rights on what goes with it. So nothing in them depends on the caller's search_path, and each
-- refuses to serve any other table.

CREATE OR REPLACE FUNCTION {schema}.postpone_require_own_table(is_own boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF is_own IS NOT TRUE THEN
        RAISE EXCEPTION 'this trigger function serves tables of Postpone alone';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_forget_deleted_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM {schema}.postpone_require_own_table(TG_RELID = '{schema}.procrastinate_jobs'::regclass);
    DELETE FROM {schema}.procrastinate_events AS event USING deleted WHERE event.job_id = deleted.id;
    DELETE FROM {schema}.postpone_attempts AS attempt USING deleted WHERE attempt.job_id = deleted.id;
    UPDATE {schema}.procrastinate_periodic_defers AS tick SET job_id = NULL FROM deleted WHERE tick.job_id = deleted.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_forget_all_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM {schema}.postpone_require_own_table(TG_RELID = '{schema}.procrastinate_jobs'::regclass);
    TRUNCATE {schema}.procrastinate_events, {schema}.postpone_attempts;
    UPDATE {schema}.procrastinate_periodic_defers SET job_id = NULL WHERE job_id IS NOT NULL;
    RETURN NULL;
END
$$;

-- The plan is pinned: it must not walk through all jobs.
CREATE OR REPLACE FUNCTION {schema}.postpone_forget_deleted_workers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM {schema}.postpone_require_own_table(TG_RELID = '{schema}.procrastinate_workers'::regclass);
    UPDATE {schema}.procrastinate_jobs AS job SET worker_id = NULL FROM deleted WHERE job.worker_id = deleted.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_forget_all_workers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM {schema}.postpone_require_own_table(TG_RELID = '{schema}.procrastinate_workers'::regclass);
    UPDATE {schema}.procrastinate_jobs SET worker_id = NULL WHERE worker_id IS NOT NULL;
    RETURN NULL;
END
$$;

-- By name the caller distinguishes a lost lease from any other violation: the name of the key that there was.
CREATE OR REPLACE FUNCTION {schema}.postpone_require_workers(worker_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted bigint;
BEGIN
    FOR wanted IN SELECT DISTINCT unnest(worker_ids) ORDER BY 1 LOOP
        PERFORM FROM {schema}.procrastinate_workers WHERE id = wanted FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no worker %', wanted
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'procrastinate_jobs_worker_id_fkey';
        END IF;
    END LOOP;
END
$$;

CREATE OR REPLACE TRIGGER postpone_forget_deleted_jobs AFTER DELETE ON {schema}.procrastinate_jobs
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_forget_deleted_jobs();
CREATE OR REPLACE TRIGGER postpone_forget_all_jobs AFTER TRUNCATE ON {schema}.procrastinate_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_forget_all_jobs();
CREATE OR REPLACE TRIGGER postpone_forget_deleted_workers AFTER DELETE ON {schema}.procrastinate_workers
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_forget_deleted_workers();
CREATE OR REPLACE TRIGGER postpone_forget_all_workers AFTER TRUNCATE ON {schema}.procrastinate_workers
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_forget_all_workers();
