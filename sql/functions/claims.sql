-- Claims: how one of our workers takes unlocked jobs without a write to their rows.
--
-- An unlocked job has neither a lock nor a queueing lock. Its worker enters it in postpone_claims, in the transaction of
-- the fetch. The job stays `todo`; every fetch passes it over, Python's too. When it ends, it goes from `todo` straight to its
-- end, so that its row and the entries of its indexes are written once instead of twice. A worker settles a job that runs
-- for longer (prefetch_horizon): it goes to `doing`, and is from then on like any other that runs.
--
-- No job is claimed or started twice. Whoever takes a job has locked its row. So another taker has committed, or has not
-- got this far: either its claim meets ours in the unique index, or a new statement sees it. The unique index sees it
-- even in a transaction that keeps its snapshot (REPEATABLE READ), which gets a serialization failure.
--
-- A claim is part of the lease. It lasts until its worker has ended the job or the worker's row is gone, whatever becomes of
-- connections and of the server. Who decides about a job from outside (a cancel, a rescue, the deletion of a worker) settles
-- it first: then it runs under that worker, and everything is as for all jobs that run.
--
-- Everybody locks the row of the worker first, then the job, then the claim.

-- May jobs be claimed? Not where the application has rules of its own about what may run (triggers, checks, unique
-- indexes, row security): they are asked when a job goes to `doing`.
CREATE OR REPLACE FUNCTION {schema}.postpone_may_claim() RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM pg_class
                       WHERE oid = '{schema}.procrastinate_jobs'::regclass
                         AND (relchecks > 1 OR relrowsecurity OR relhasrules))
        AND NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = '{schema}.procrastinate_jobs'::regclass AND NOT tgisinternal AND tgenabled <> 'D'
                          AND NOT starts_with(tgname, 'postpone_'))
        AND (SELECT count(*) FROM pg_index
             WHERE indrelid = '{schema}.procrastinate_jobs'::regclass AND (indisunique OR indisexclusion)) = 3;
END
$$;

-- Claims these jobs, whose rows we have locked, but for those that are claimed by now. Returns what it has claimed.
-- omit_events: no event will say that they have started.
--
-- To be ready for a claim that exists costs half as much again for each job, and a subtransaction costs as much as two of them. So
-- several are claimed in one, as if none existed, and in the other way when that fails.
CREATE OR REPLACE FUNCTION {schema}.postpone_claim_jobs(p_worker_id bigint, p_job_ids bigint[], omit_events boolean)
RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
    claimed_ids bigint[];
BEGIN
    PERFORM {schema}.postpone_check_may_run();
    IF cardinality(p_job_ids) > 4 THEN
        BEGIN
            INSERT INTO {schema}.postpone_claims (job_id, worker_id, omit_events)
            SELECT job_id, p_worker_id, omit_events IS TRUE FROM unnest(p_job_ids) AS job_id;
            RETURN p_job_ids;
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END IF;
    WITH claimed AS (
        INSERT INTO {schema}.postpone_claims (job_id, worker_id, omit_events)
        SELECT job_id, p_worker_id, omit_events IS TRUE FROM unnest(p_job_ids) AS job_id
        ON CONFLICT (job_id) DO NOTHING
        RETURNING job_id
    )
    SELECT array_agg(job_id) INTO claimed_ids FROM claimed;
    RETURN coalesce(claimed_ids, '{}');
END
$$;

-- Those of these jobs, whose rows we have locked, that nobody has claimed.
CREATE OR REPLACE FUNCTION {schema}.postpone_unclaimed(p_job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
    free_ids bigint[] := ARRAY(
        SELECT job_id FROM unnest(p_job_ids) WITH ORDINALITY AS job (job_id, place)
        -- With a LIMIT it is an index probe.
        WHERE (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.job_id LIMIT 1) IS NULL
        ORDER BY place);
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' AND free_ids <> '{}' THEN
        PERFORM {schema}.postpone_meet_claims(free_ids);
    END IF;
    RETURN free_ids;
END
$$;

-- Whether one of these jobs was claimed since our snapshot, only the unique index knows: then this ends with a serialization
-- failure. With the rights of the owner, for who may change jobs, and so may keep others from them in any case.
CREATE OR REPLACE FUNCTION {schema}.postpone_meet_claims(p_job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT has_any_column_privilege(
        coalesce(nullif(current_setting('role'), 'none'), session_user), '{schema}.procrastinate_jobs'::regclass, 'UPDATE')
    THEN
        RAISE EXCEPTION 'permission denied: that takes UPDATE on procrastinate_jobs' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO {schema}.postpone_claims (job_id, worker_id)
    SELECT DISTINCT job_id, 0 FROM unnest(p_job_ids) AS job_id
    ON CONFLICT (job_id) DO NOTHING;
    DELETE FROM {schema}.postpone_claims WHERE job_id = ANY (p_job_ids) AND worker_id = 0;
END
$$;

-- Those of these jobs (null: of all) that this worker has claimed.
CREATE OR REPLACE FUNCTION {schema}.postpone_claims_of(p_worker_id bigint, p_job_ids bigint[] DEFAULT NULL) RETURNS bigint[]
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN ARRAY(SELECT claim.job_id FROM {schema}.postpone_claims AS claim
                 WHERE claim.worker_id = p_worker_id AND (p_job_ids IS NULL OR claim.job_id = ANY (p_job_ids))
                 ORDER BY claim.job_id);
END
$$;

-- Those of these jobs that this worker has claimed, and that have not begun, wait for anybody again. Returns a row for
-- each of them (as postpone_finish_jobs does).
CREATE OR REPLACE FUNCTION {schema}.postpone_release_claims(p_worker_id bigint, p_job_ids bigint[])
RETURNS TABLE (job_id bigint, disposition text, by_job_id bigint, status {schema}.procrastinate_job_status)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    released bigint[] := {schema}.postpone_claims_of(p_worker_id, p_job_ids);
BEGIN
    -- The rows first: whoever has settled one meanwhile has committed then.
    PERFORM FROM {schema}.procrastinate_jobs WHERE id = ANY (released) ORDER BY id FOR NO KEY UPDATE;
    WITH dropped AS (
        DELETE FROM {schema}.postpone_claims AS claim
        WHERE claim.job_id = ANY (released) AND claim.worker_id = p_worker_id
        RETURNING claim.job_id
    )
    SELECT coalesce(array_agg(job_id), '{}') INTO released FROM dropped;
    PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (released) AND job.status::text = 'todo'
    GROUP BY job.queue_name;
    -- A fetch in the same transaction is to see them, wherever it would begin (postpone_find_jobs).
    IF released <> '{}' THEN
        PERFORM set_config('postpone.fetch_from_top', 'yes', true);
    END IF;
    RETURN QUERY
    SELECT release, CASE WHEN job.status::text = 'todo' THEN 'recorded' ELSE 'gone' END, NULL::bigint, job.status
    FROM unnest(released) AS release
    LEFT JOIN {schema}.procrastinate_jobs AS job ON job.id = release;
END
$$;

-- Puts those of these jobs (null: of all) that the worker has claimed into `doing`, under its lease. One that the
-- application's rules keep from going there stays claimed: it runs all the same. One that has got a lock by hand, under
-- which another job runs, does too, and its worker is told to stop it.
CREATE OR REPLACE FUNCTION {schema}.postpone_settle_claims(p_worker_id bigint, p_job_ids bigint[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    settled bigint[] := {schema}.postpone_claims_of(p_worker_id, p_job_ids);
    settled_id bigint;
BEGIN
    IF settled = '{}' THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM {schema}.postpone_put_into_doing(p_worker_id, settled);
        RETURN;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        IF {schema}.postpone_is_passing(sqlstate) OR sqlstate = '42501' THEN
            RAISE;
        END IF;
    END;
    FOREACH settled_id IN ARRAY settled LOOP
        BEGIN
            PERFORM {schema}.postpone_put_into_doing(p_worker_id, ARRAY[settled_id]);
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF {schema}.postpone_is_passing(sqlstate) OR sqlstate = '42501' THEN
                RAISE;
            ELSIF sqlstate = '23505' THEN
                PERFORM {schema}.postpone_notify(
                    job.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', job.id)::text)
                FROM {schema}.procrastinate_jobs AS job
                WHERE job.id = settled_id;
            END IF;
        END;
    END LOOP;
END
$$;

-- As postpone_start_jobs does with jobs that are not claimed; but these have started when they were claimed.
CREATE OR REPLACE FUNCTION {schema}.postpone_put_into_doing(p_worker_id bigint, job_ids bigint[]) RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    former text := {schema}.postpone_skip_update_trigger();
    started_ids bigint[];
BEGIN
    -- The rows first, and then, in a new statement, whether they are still claimed: a release changes no row.
    PERFORM FROM {schema}.procrastinate_jobs WHERE id = ANY (job_ids) ORDER BY id FOR NO KEY UPDATE;
    WITH started AS (
        UPDATE {schema}.procrastinate_jobs AS job SET status = 'doing', worker_id = p_worker_id
        WHERE job.id = ANY (job_ids) AND job.status::text = 'todo'
          AND (SELECT claim.worker_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) = p_worker_id
        RETURNING job.id
    )
    SELECT array_agg(id) INTO started_ids FROM started;
    INSERT INTO {schema}.procrastinate_events (job_id, type, at)
    SELECT claim.job_id, 'started', claim.claimed_at FROM {schema}.postpone_claims AS claim
    WHERE claim.job_id = ANY (started_ids) AND former IS NOT NULL AND NOT claim.omit_events;
    PERFORM {schema}.postpone_drop_dead_claims(job_ids);
    IF former IS NOT NULL THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
    END IF;
END
$$;

-- Puts these jobs into `doing`, where they are claimed, whoever has claimed them.
CREATE OR REPLACE FUNCTION {schema}.postpone_settle_jobs(p_job_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    claimant bigint;
BEGIN
    FOR claimant IN
        SELECT DISTINCT worker_id FROM {schema}.postpone_claims WHERE job_id = ANY (p_job_ids) ORDER BY worker_id
    LOOP
        PERFORM FROM {schema}.procrastinate_workers WHERE id = claimant FOR KEY SHARE;
        IF FOUND THEN
            PERFORM {schema}.postpone_settle_claims(claimant, p_job_ids);
        END IF;
    END LOOP;
END
$$;

-- Locks those of these jobs that wait and are claimed by nobody, until the end of the transaction, and returns them. What
-- is claimed goes to `doing`: it has begun, or is about to.
CREATE OR REPLACE FUNCTION {schema}.postpone_hold_waiting(p_job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    held bigint[];
    free_ids bigint[];
BEGIN
    -- One may be claimed between the first two steps of a round; not after that.
    FOR round IN 1 .. 2 LOOP
        PERFORM {schema}.postpone_settle_jobs(p_job_ids);
        held := ARRAY(SELECT id FROM {schema}.procrastinate_jobs
                      WHERE id = ANY (p_job_ids) AND status::text = 'todo' ORDER BY id FOR NO KEY UPDATE);
        free_ids := {schema}.postpone_unclaimed(held);
        EXIT WHEN free_ids = held;
    END LOOP;
    RETURN free_ids;
END
$$;

-- Claims end with what they are about, however that ends, with the rights of the owner: who may change a job needs no rights
-- on claims. Anybody may call this, since it does nothing that is not so already.
CREATE OR REPLACE FUNCTION {schema}.postpone_drop_dead_claims(p_job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    DELETE FROM {schema}.postpone_claims AS claim
    WHERE claim.job_id = ANY (p_job_ids)
      AND ((SELECT job.id FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = claim.job_id AND job.status::text = 'todo' LIMIT 1) IS NULL
           OR (SELECT worker.id FROM {schema}.procrastinate_workers AS worker
               WHERE worker.id = claim.worker_id LIMIT 1) IS NULL);
END
$$;

-- The end of a lease, however it comes: what the worker has claimed may have begun. A transaction that keeps its snapshot
-- might overlook a claim, and the job would be hidden from everybody.
CREATE OR REPLACE FUNCTION {schema}.postpone_worker_leaves() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' AND {schema}.postpone_is_ours(OLD.id) THEN
        RAISE EXCEPTION 'delete worker %, which is one of Postpone''s, in a transaction of isolation level READ COMMITTED', OLD.id
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM {schema}.postpone_settle_claims(OLD.id);
    IF {schema}.postpone_claims_of(OLD.id) <> '{}' THEN
        RAISE EXCEPTION 'worker % runs jobs that cannot be put into "doing"', OLD.id USING ERRCODE = 'object_in_use';
    END IF;
    RETURN OLD;
END
$$;

-- Claims of workers that are gone: none, but for what was restored in part, or deleted while triggers were off. Their jobs
-- wait for anybody.
CREATE OR REPLACE FUNCTION {schema}.postpone_sweep_claims() RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    orphans bigint[] := ARRAY(
        SELECT claim.job_id FROM {schema}.postpone_claims AS claim
        WHERE (SELECT worker.id FROM {schema}.procrastinate_workers AS worker
               WHERE worker.id = claim.worker_id LIMIT 1) IS NULL);
BEGIN
    IF orphans = '{}' THEN
        RETURN;
    END IF;
    PERFORM {schema}.postpone_drop_dead_claims(orphans);
    PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (orphans) AND job.status::text = 'todo'
    GROUP BY job.queue_name;
END
$$;

CREATE OR REPLACE TRIGGER postpone_worker_leaves BEFORE DELETE ON {schema}.procrastinate_workers
    FOR EACH ROW EXECUTE FUNCTION {schema}.postpone_worker_leaves();
