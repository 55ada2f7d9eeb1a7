-- References: the events and attempts of a job, its claim (claims.sql) and its result (results.sql) go when its row goes, whoever
-- deletes it, and a periodic defer names it no longer.
--
-- That was the promise of three foreign keys, of events, attempts and periodic defers. But a key looks at each row of a set by
-- itself: each event and each attempt that was written made the server look for its job and lock it, four times in the life of a
-- job, and each deleted job made it look in three tables. A trigger keeps the promise for all rows of a statement at once.
--
-- The trigger misses no row: a transaction that writes one of these has changed or locked the job before, so a session
-- that deletes the job waits for that transaction, and then sees what it wrote. Foreign keys also refused events of a job
-- that does not exist. That is not checked any more: only a person could insert such a row, by hand.
--
-- As the actions of foreign keys do, these functions run with the rights of the owner of the tables: a role that may
-- delete jobs needs no rights on their events. So a function serves the table of the jobs alone (every role may make a
-- table with a trigger that calls it), and no name in it depends on the caller's search_path, operators included.

CREATE OR REPLACE FUNCTION {schema}.postpone_jobs_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    gone_ids bigint[];
BEGIN
    IF TG_RELID OPERATOR(pg_catalog.<>) '{schema}.procrastinate_jobs'::pg_catalog.regclass THEN
        RAISE EXCEPTION 'this trigger function serves procrastinate_jobs alone';
    END IF;
    gone_ids := ARRAY(SELECT id FROM deleted);
    DELETE FROM {schema}.procrastinate_events AS event
    WHERE event.job_id OPERATOR(pg_catalog.=) ANY (gone_ids);
    DELETE FROM {schema}.postpone_attempts AS attempt
    WHERE attempt.job_id OPERATOR(pg_catalog.=) ANY (gone_ids);
    DELETE FROM {schema}.postpone_claims AS claim
    WHERE claim.job_id OPERATOR(pg_catalog.=) ANY (gone_ids);
    DELETE FROM {schema}.postpone_results AS given
    WHERE given.job_id OPERATOR(pg_catalog.=) ANY (gone_ids);
    UPDATE {schema}.procrastinate_periodic_defers AS defer SET job_id = NULL
    WHERE defer.job_id OPERATOR(pg_catalog.=) ANY (gone_ids);
    RETURN NULL;
END
$$;

-- DELETE, not TRUNCATE: one command may truncate the jobs and these tables, which are in its hands then. TRUNCATE removes
-- rows that a snapshot does not see, and DELETE would leave their events.
CREATE OR REPLACE FUNCTION {schema}.postpone_all_jobs_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_RELID OPERATOR(pg_catalog.<>) '{schema}.procrastinate_jobs'::pg_catalog.regclass THEN
        RAISE EXCEPTION 'this trigger function serves procrastinate_jobs alone';
    END IF;
    IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed' THEN
        RAISE EXCEPTION 'truncate procrastinate_jobs in a transaction of isolation level READ COMMITTED'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    DELETE FROM {schema}.procrastinate_events;
    DELETE FROM {schema}.postpone_attempts;
    DELETE FROM {schema}.postpone_claims;
    DELETE FROM {schema}.postpone_results;
    DELETE FROM {schema}.postpone_noted_locks;
    UPDATE {schema}.procrastinate_periodic_defers SET job_id = NULL WHERE job_id IS NOT NULL;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_job_renumbered() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'job % cannot get another id: its events and attempts name it', OLD.id
        USING ERRCODE = 'foreign_key_violation';
END
$$;

-- A person who sets `attempts` back makes the job count from there again: what an attempt has given that is to come once more is no
-- result of the job.
CREATE OR REPLACE FUNCTION {schema}.postpone_attempts_set_back() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    IF TG_RELID OPERATOR(pg_catalog.<>) '{schema}.procrastinate_jobs'::pg_catalog.regclass THEN
        RAISE EXCEPTION 'this trigger function serves procrastinate_jobs alone';
    END IF;
    DELETE FROM {schema}.postpone_results AS given
    WHERE given.job_id OPERATOR(pg_catalog.=) NEW.id AND given.attempt OPERATOR(pg_catalog.>) NEW.attempts;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER postpone_attempts_set_back AFTER UPDATE OF attempts ON {schema}.procrastinate_jobs
    FOR EACH ROW WHEN (NEW.attempts < OLD.attempts) EXECUTE FUNCTION {schema}.postpone_attempts_set_back();
CREATE OR REPLACE TRIGGER postpone_jobs_gone AFTER DELETE ON {schema}.procrastinate_jobs
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_jobs_gone();
CREATE OR REPLACE TRIGGER postpone_all_jobs_gone AFTER TRUNCATE ON {schema}.procrastinate_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_all_jobs_gone();
CREATE OR REPLACE TRIGGER postpone_job_renumbered AFTER UPDATE ON {schema}.procrastinate_jobs
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION {schema}.postpone_job_renumbered();
