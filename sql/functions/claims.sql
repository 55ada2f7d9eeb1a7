-- Claims: how one of our workers takes plain jobs without a write to each of them.
--
-- A plain job has neither a lock nor a queueing lock. To take it, its worker writes its id into a list of its own, one
-- row for all jobs of a fetch. The job stays `todo`; every fetch passes it over, Python's too. When it ends, it goes from
-- `todo` straight to its end, and its row is written once instead of twice. A worker settles a job that runs for longer
-- (prefetch_horizon): it goes to `doing`, and is from then on like any other that runs.
--
-- No job is claimed twice: a fetch locks the rows that it finds, and looks at the claims again after that. While it
-- holds a row nobody else can claim it; whoever claimed it before held the row, and had committed its claim, before we
-- got it.
--
-- A claim is part of the lease. It lasts as long as the worker's row, whatever becomes of the connection or the server.
-- Who decides about a job from outside (a rescue, a cancel, the deletion of a worker) settles it first: then it runs
-- under that worker, and everything is as for all jobs that run.
--
-- Who settles or releases claims of another worker holds that worker's row FOR UPDATE; the worker itself, FOR KEY SHARE.
--
-- The functions that only read are SECURITY DEFINER: who may fetch, cancel or delete need not be granted this table, too.

-- What this worker has claimed; job_ids is empty for nothing.
CREATE OR REPLACE FUNCTION {schema}.postpone_claims_of(p_worker_id bigint) RETURNS {schema}.postpone_claims
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    claims {schema}.postpone_claims;
BEGIN
    SELECT * INTO claims
    FROM {schema}.postpone_claims AS claim
    WHERE claim.worker_id = p_worker_id
    ORDER BY claim.worker_id DESC, claim.serial DESC
    LIMIT 1;
    claims.job_ids := coalesce(claims.job_ids, '{}');
    RETURN claims;
END
$$;

-- What all workers have claimed.
CREATE OR REPLACE FUNCTION {schema}.postpone_claimed_jobs() RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT unnest(latest.job_ids)
        FROM {schema}.postpone_workers AS worker
        CROSS JOIN LATERAL (SELECT claim.job_ids FROM {schema}.postpone_claims AS claim
                            WHERE claim.worker_id = worker.worker_id
                            ORDER BY claim.worker_id DESC, claim.serial DESC LIMIT 1) AS latest);
END
$$;

-- Whether a transaction that keeps its snapshot sees all that is claimed by now.
CREATE OR REPLACE FUNCTION {schema}.postpone_sees_all_claims() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT last_value FROM {schema}.postpone_claims_serial_seq WHERE is_called)
        IS NOT DISTINCT FROM (SELECT max(serial) FROM {schema}.postpone_claims);
END
$$;

-- The workers that have claimed one of these jobs.
CREATE OR REPLACE FUNCTION {schema}.postpone_claimants(p_job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN ARRAY(SELECT worker.worker_id FROM {schema}.postpone_workers AS worker
                 CROSS JOIN LATERAL {schema}.postpone_claims_of(worker.worker_id) AS claims
                 WHERE claims.job_ids && p_job_ids
                 ORDER BY worker.worker_id);
END
$$;

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
             WHERE indrelid = '{schema}.procrastinate_jobs'::regclass AND indisunique) = 3;
END
$$;

-- From now on this worker claims these jobs, and no others. omit_events: no event will say that they have started.
CREATE OR REPLACE FUNCTION {schema}.postpone_write_claims(
    p_worker_id bigint, p_job_ids bigint[], omit_events boolean DEFAULT false, p_claimed_at timestamptz DEFAULT now())
RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO {schema}.postpone_claims (worker_id, job_ids, omit_events, claimed_at)
    VALUES (p_worker_id, p_job_ids, omit_events, p_claimed_at)
    RETURNING serial INTO written;
    DELETE FROM {schema}.postpone_claims AS claim
    WHERE claim.worker_id = p_worker_id
      AND claim.serial = (SELECT former.serial FROM {schema}.postpone_claims AS former
                          WHERE former.worker_id = p_worker_id AND former.serial < written
                          ORDER BY former.worker_id DESC, former.serial DESC LIMIT 1);
END
$$;

-- What this worker has claimed and may end from `todo`. Where jobs may be claimed no more, since the application has set
-- up rules in the meantime, they go to `doing` first.
CREATE OR REPLACE FUNCTION {schema}.postpone_claims_to_end(p_worker_id bigint) RETURNS {schema}.postpone_claims
LANGUAGE plpgsql AS $$
DECLARE
    claims {schema}.postpone_claims := {schema}.postpone_claims_of(p_worker_id);
BEGIN
    IF claims.job_ids <> '{}' AND NOT {schema}.postpone_may_claim() THEN
        PERFORM {schema}.postpone_settle_claims(p_worker_id, NULL);
        claims.job_ids := '{}';
    END IF;
    RETURN claims;
END
$$;

-- The worker claims these jobs no more, and goes on claiming the others. Returns those of them that it had claimed.
CREATE OR REPLACE FUNCTION {schema}.postpone_drop_claims(p_worker_id bigint, p_job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    claims {schema}.postpone_claims := {schema}.postpone_claims_of(p_worker_id);
BEGIN
    IF claims.job_ids && p_job_ids THEN
        PERFORM {schema}.postpone_write_claims(
            p_worker_id, ARRAY(SELECT claim FROM unnest(claims.job_ids) AS claim WHERE claim <> ALL (p_job_ids)),
            claims.omit_events, claims.claimed_at);
        RETURN ARRAY(SELECT claim FROM unnest(claims.job_ids) AS claim WHERE claim = ANY (p_job_ids) ORDER BY claim);
    END IF;
    RETURN '{}';
END
$$;

-- The worker claims no more what waits no more.
CREATE OR REPLACE FUNCTION {schema}.postpone_drop_ended_claims(p_worker_id bigint) RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    claims {schema}.postpone_claims := {schema}.postpone_claims_of(p_worker_id);
BEGIN
    PERFORM {schema}.postpone_drop_claims(p_worker_id, ARRAY(
        SELECT claim FROM unnest(claims.job_ids) AS claim
        -- With a LIMIT it is an index probe.
        WHERE (SELECT job.id FROM {schema}.procrastinate_jobs AS job
               WHERE job.id = claim AND job.status::text = 'todo' LIMIT 1) IS NULL));
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
DECLARE
    released bigint[] := {schema}.postpone_drop_claims(p_worker_id, p_job_ids);
BEGIN
    IF released = '{}' THEN
        RETURN;
    END IF;
    PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (released) AND job.status::text = 'todo'
    GROUP BY job.queue_name;
    RETURN QUERY
    SELECT release, CASE WHEN job.status::text = 'todo' THEN 'recorded' ELSE 'gone' END, NULL::bigint, job.status
    FROM unnest(released) AS release
    LEFT JOIN {schema}.procrastinate_jobs AS job ON job.id = release;
END
$$;

-- Puts those of these jobs that the worker has claimed (null: all that it has) into `doing`, under its lease. What
-- cannot be put there (it has got a lock by hand, and another job runs under that lock) waits on, and its worker is
-- told to stop it.
CREATE OR REPLACE FUNCTION {schema}.postpone_settle_claims(p_worker_id bigint, p_job_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    claims {schema}.postpone_claims := {schema}.postpone_claims_of(p_worker_id);
    settled bigint[] := {schema}.postpone_drop_claims(p_worker_id, coalesce(p_job_ids, claims.job_ids));
    settled_id bigint;
BEGIN
    IF settled = '{}' THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM {schema}.postpone_put_into_doing(p_worker_id, settled, claims);
        RETURN;
    EXCEPTION WHEN unique_violation THEN
        NULL;  -- One of them: one by one.
    END;
    FOREACH settled_id IN ARRAY settled LOOP
        BEGIN
            PERFORM {schema}.postpone_put_into_doing(p_worker_id, ARRAY[settled_id], claims);
        EXCEPTION WHEN unique_violation THEN
            PERFORM {schema}.postpone_notify(
                job.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', job.id)::text)
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = settled_id;
        END;
    END LOOP;
END
$$;

-- As postpone_start_jobs does with jobs that are not claimed; but they started when they were claimed.
CREATE OR REPLACE FUNCTION {schema}.postpone_put_into_doing(
    p_worker_id bigint, job_ids bigint[], claims {schema}.postpone_claims)
RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    former text := {schema}.postpone_skip_update_trigger();
BEGIN
    WITH started AS (
        UPDATE {schema}.procrastinate_jobs AS job SET status = 'doing', worker_id = p_worker_id
        WHERE job.id = ANY (job_ids) AND job.status::text = 'todo'
        RETURNING job.id
    )
    INSERT INTO {schema}.procrastinate_events (job_id, type, at)
    SELECT id, 'started', claims.claimed_at FROM started
    WHERE former IS NOT NULL AND NOT claims.omit_events;
    IF former IS NOT NULL THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
    END IF;
END
$$;

-- Locks those of these jobs that wait, and are claimed by nobody, until the end of the transaction. What is claimed
-- goes to `doing`: it has begun, or is about to.
CREATE OR REPLACE FUNCTION {schema}.postpone_hold_waiting(p_job_ids bigint[]) RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    claimant bigint;
BEGIN
    -- The second look finds what was claimed before we had its row; nothing can be claimed after that.
    FOR look IN 1 .. 2 LOOP
        FOREACH claimant IN ARRAY {schema}.postpone_claimants(p_job_ids) LOOP
            PERFORM FROM {schema}.procrastinate_workers WHERE id = claimant FOR UPDATE;
            PERFORM {schema}.postpone_settle_claims(claimant, p_job_ids);
        END LOOP;
        PERFORM FROM {schema}.procrastinate_jobs
        WHERE id = ANY (p_job_ids) AND status::text = 'todo' ORDER BY id FOR NO KEY UPDATE;
    END LOOP;
END
$$;

-- The end of a lease, however it comes: what the worker has claimed may have begun.
CREATE OR REPLACE FUNCTION {schema}.postpone_worker_leaves() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.postpone_settle_claims(OLD.id, NULL);
    RETURN OLD;
END
$$;

CREATE OR REPLACE TRIGGER postpone_worker_leaves BEFORE DELETE ON {schema}.procrastinate_workers
    FOR EACH ROW EXECUTE FUNCTION {schema}.postpone_worker_leaves();
