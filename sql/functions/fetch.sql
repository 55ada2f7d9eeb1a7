-- Fetch: which jobs run next. For Python's workers (procrastinate_*) and for ours (postpone_*), on the same code.
--
-- Functions that sessions call for every job pin their plans to index probes, their own and those of the functions that they
-- call, which have no settings (each costs as much as a short statement):
--     SET plan_cache_mode = force_generic_plan    never planned again, however LIMIT or the arrays vary
--     SET enable_seqscan / bitmapscan / hashjoin / mergejoin / sort = off
--     SET jit = off                               what is switched off counts as so expensive that it would be compiled
-- The table's statistics are always out of date here (it was empty at the last analyze, and holds 300,000 waiting
-- jobs now); a planner that believes them once sorts or scans the whole table at each fetch from then on.

CREATE OR REPLACE FUNCTION {schema}.postpone_check_may_run() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT has_any_column_privilege('{schema}.procrastinate_workers'::regclass, 'INSERT') THEN
        RAISE EXCEPTION 'permission denied to run jobs: that takes INSERT on procrastinate_workers'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- Puts jobs that no other worker holds into `doing`, leased to this worker. Only a role that may register
-- workers may run jobs. So the function checks that itself: postpone_operator has all privileges that the
-- UPDATE needs.
CREATE OR REPLACE FUNCTION {schema}.postpone_start_jobs(
    job_ids bigint[], p_worker_id bigint, omit_events boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    former text;
BEGIN
    PERFORM {schema}.postpone_check_may_run();
    former := {schema}.postpone_skip_update_trigger();
    WITH started AS (
        UPDATE {schema}.procrastinate_jobs AS job SET status = 'doing', worker_id = p_worker_id
        WHERE job.id = ANY (job_ids)
        RETURNING job.id
    )
    INSERT INTO {schema}.procrastinate_events (job_id, type)
    SELECT id, 'started' FROM started
    WHERE former IS NOT NULL AND omit_events IS NOT TRUE;
    IF former IS NOT NULL THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
    END IF;
END
$$;

-- Finds and starts jobs, for Python's workers and for ours; null for none. `claims`: unlocked jobs are claimed instead
-- (claims.sql); claimed_ids are those, and among taken_ids as well.
--
-- Fetchers do not wait for each other (SKIP LOCKED). So our snapshot may show a lock as free although an
-- elder job of that lock has come in and been started since. The unique index on running locks raises an
-- error then, and we look again. The rows that we passed over stay locked until we commit, and other fetchers
-- skip them, although they may have been woken for them. So we announce those rows again.
--
-- A transaction that keeps its snapshot (REPEATABLE READ) may not take a job that changed since: it finds
-- nothing. Only such a transaction pays for the subtransaction that catches the error. `may_fail`: it runs in
-- one already.
CREATE OR REPLACE FUNCTION {schema}.postpone_take_jobs(
    target_queue_names varchar[], p_worker_id bigint, max_jobs integer, passed_over bigint[] DEFAULT NULL,
    passed_over_tasks text[] DEFAULT NULL, may_fail boolean DEFAULT false, omit_events boolean DEFAULT false,
    claims boolean DEFAULT false, slow_tasks text[] DEFAULT NULL, start_priority integer DEFAULT NULL,
    start_id bigint DEFAULT NULL,
    OUT taken_ids bigint[], OUT claimed_ids bigint[], OUT last_rank bigint, OUT last_id bigint, OUT with_locks boolean,
    OUT is_cut boolean, OUT from_top boolean)
LANGUAGE plpgsql
AS $$
DECLARE
    counted bigint[];
    found_ids bigint[];
    plain_ids bigint[];
    started_ids bigint[];
    violated text;
BEGIN
    IF NOT may_fail AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        BEGIN
            SELECT taken.* INTO taken_ids, claimed_ids, last_rank, last_id, with_locks, is_cut, from_top
            FROM {schema}.postpone_take_jobs(
                target_queue_names, p_worker_id, max_jobs, passed_over, passed_over_tasks, true, omit_events, claims,
                slow_tasks, start_priority, start_id) AS taken;
        EXCEPTION WHEN serialization_failure THEN
            NULL;
        END;
        RETURN;
    END IF;

    counted := {schema}.postpone_counted_walks();
    -- One round, nearly always; under REPEATABLE READ, where a second look sees no more than the first, it must
    -- end.
    FOR round IN 1 .. 10 LOOP
        SELECT found.* INTO found_ids, last_rank, with_locks, is_cut, from_top
        FROM {schema}.postpone_find_jobs(
            target_queue_names, max_jobs, passed_over, passed_over_tasks, start_priority, start_id) AS found;
        EXIT WHEN found_ids IS NULL;
        last_id := found_ids[cardinality(found_ids)];
        started_ids := found_ids;
        IF claims THEN
            plain_ids := CASE WHEN with_locks OR slow_tasks <> '{}'
                THEN {schema}.postpone_plain_of(found_ids, slow_tasks) ELSE found_ids END;
            IF plain_ids <> '{}' THEN
                claimed_ids := {schema}.postpone_claim_jobs(p_worker_id, plain_ids, omit_events);
            END IF;
            started_ids := CASE WHEN cardinality(plain_ids) = cardinality(found_ids) THEN '{}' ELSE
                ARRAY(SELECT found_id FROM unnest(found_ids) AS found_id WHERE found_id <> ALL (plain_ids)) END;
        END IF;
        IF started_ids <> '{}' THEN
            started_ids := {schema}.postpone_unclaimed(started_ids);
        END IF;
        IF started_ids = '{}' OR NOT with_locks THEN
            -- Nothing can collide: no need to pay for a subtransaction.
            IF started_ids <> '{}' THEN
                PERFORM {schema}.postpone_start_jobs(started_ids, p_worker_id, omit_events);
            END IF;
        ELSE
            BEGIN
                PERFORM {schema}.postpone_start_jobs(started_ids, p_worker_id, omit_events);
            EXCEPTION WHEN unique_violation THEN
                GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
                IF violated <> 'procrastinate_jobs_lock_idx_v1' THEN
                    RAISE;
                END IF;
                PERFORM {schema}.postpone_announce_jobs(queue_name, min(id), count(*), false, false)
                FROM {schema}.procrastinate_jobs
                WHERE id = ANY (started_ids) AND lock IS NOT NULL
                GROUP BY queue_name;
                started_ids := '{}';
            END;
        END IF;
        -- One that was claimed before we had its row is not among them.
        taken_ids := nullif(coalesce(claimed_ids, '{}') || started_ids, '{}');
        EXIT WHEN taken_ids IS NOT NULL;
    END LOOP;
    IF from_top THEN
        PERFORM {schema}.postpone_park_crowd(target_queue_names, counted, cardinality(taken_ids));
    END IF;
END
$$;

-- Those of these jobs that may be claimed: they have neither a lock nor a queueing lock, and are of none of slow_tasks.
CREATE OR REPLACE FUNCTION {schema}.postpone_plain_of(job_ids bigint[], slow_tasks text[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY(
        SELECT job.id FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (job_ids) AND job.lock IS NULL AND job.queueing_lock IS NULL
          AND (slow_tasks IS NULL OR array_position(slow_tasks, job.task_name::text) IS NULL));
END
$$;

-- Python's fetch. Always one row, all null when there is nothing: clients do not expect an empty result.
CREATE OR REPLACE FUNCTION {schema}.procrastinate_fetch_job_v2(target_queue_names varchar[], p_worker_id bigint)
RETURNS {schema}.procrastinate_jobs
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    unparked_ids bigint[];
    found_ids bigint[];
    found_job {schema}.procrastinate_jobs;
BEGIN
    unparked_ids := {schema}.postpone_unpark(target_queue_names, NULL, NULL, false);
    found_ids := (SELECT taken_ids FROM {schema}.postpone_take_jobs(target_queue_names, p_worker_id, 1));
    PERFORM {schema}.postpone_announce_unparked(unparked_ids, found_ids);
    SELECT * INTO found_job FROM {schema}.procrastinate_jobs WHERE id = found_ids[1] AND status::text = 'doing';
    RETURN found_job;
END
$$;

-- Locks the worker's row before its jobs, against postpone_rescue_worker: a session that ends the lease waits
-- until we commit, and no later fetch succeeds under it. The foreign key locks the row only when a job gets
-- another worker: a job that was retried by hand, or by Python, keeps its worker_id, and the same worker may
-- fetch it again.
--
-- By the constraint's name the caller distinguishes a lost lease from any other violation of a foreign key.
CREATE OR REPLACE FUNCTION {schema}.postpone_hold_worker(p_worker_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_worker_id IS NULL THEN
        RAISE EXCEPTION 'the worker id is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM FROM {schema}.procrastinate_workers WHERE id = p_worker_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no worker %', p_worker_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'procrastinate_jobs_worker_id_fkey';
    END IF;
END
$$;

-- Our fetch. `more`, the same on every row, says whether to wake another sub-worker: another job is due that
-- does not wait for one of these. It may be wrong about locks that others hold, and looks only so far: to be
-- exact would cost another fetch. passed_over, passed_over_tasks: jobs that are left alone (see
-- postpone_fetch_around). omit_events: no event says that they have started. may_claim: unlocked jobs stay in `todo`,
-- claimed (is_claimed; claims.sql), but for those of slow_tasks, which would soon have to be settled.
--
-- sharers: so many workers would share what waits, the caller included. It gets no more than its share of that, but one job
-- at least. `waiting`, the same on every row: so many were seen to wait before this fetch; null without sharers.
--
-- start_priority, start_id: the caller knows, by an earlier fetch, that others have taken most of what there was up to this job
-- of this priority, so the fetch begins behind it. What waits there all the same, or has come there since (retries, jobs that
-- became due), it does not see, as long as something waits behind the start: the caller is to look from the top, without a
-- start, from time to time. `from_top`, the same on every row: the fetch has looked from the top.
CREATE OR REPLACE FUNCTION {schema}.postpone_fetch_jobs(
    target_queue_names varchar[], p_worker_id bigint, max_jobs integer, passed_over bigint[] DEFAULT NULL,
    passed_over_tasks text[] DEFAULT NULL, omit_events boolean DEFAULT false, may_claim boolean DEFAULT false,
    slow_tasks text[] DEFAULT NULL, sharers integer DEFAULT 1, start_priority integer DEFAULT NULL,
    start_id bigint DEFAULT NULL)
RETURNS TABLE (id bigint, queue_name varchar, task_name varchar, priority integer, lock text, queueing_lock text,
               args jsonb, scheduled_at timestamptz, attempts integer, more boolean, is_claimed boolean, waiting integer,
               from_top boolean, meta jsonb, deferred_by bigint)
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_column
DECLARE
    parts integer := least(greatest(coalesce(sharers, 1), 1), 1000);
    most integer := max_jobs;
    seen integer;
    is_top boolean := start_id IS NULL OR coalesce(current_setting('postpone.fetch_from_top', true), '') <> '';
    unparked_ids bigint[] := '{}';
    taken record;
    is_more boolean := false;
BEGIN
    PERFORM {schema}.postpone_hold_worker(p_worker_id);
    IF is_top THEN
        unparked_ids := {schema}.postpone_unpark(target_queue_names, passed_over, passed_over_tasks, true);
    END IF;
    IF parts > 1 THEN
        most := least(greatest(coalesce(max_jobs, 1), 0), 1000);
        seen := {schema}.postpone_count_waiting(target_queue_names, 4 * most * parts, start_priority, start_id);
        IF start_id IS NOT NULL AND seen < most * parts THEN
            seen := greatest(seen, {schema}.postpone_count_waiting(target_queue_names, 4 * most * parts, NULL, NULL));
        END IF;
        most := least(most, greatest(1, (seen + parts - 1) / parts));
    END IF;
    LOOP
        SELECT * INTO taken
        FROM {schema}.postpone_take_jobs(
            target_queue_names, p_worker_id, most, passed_over, passed_over_tasks, false, omit_events,
            may_claim AND {schema}.postpone_may_claim(), slow_tasks, start_priority, CASE WHEN NOT is_top THEN start_id END);
        EXIT WHEN is_top OR taken.taken_ids IS NOT NULL;
        -- Whoever rests after this has looked at everything.
        is_top := true;
        unparked_ids := {schema}.postpone_unpark(target_queue_names, passed_over, passed_over_tasks, true);
        EXIT WHEN unparked_ids = '{}';
    END LOOP;
    IF unparked_ids <> '{}' THEN
        PERFORM {schema}.postpone_announce_unparked(unparked_ids, taken.taken_ids);
    END IF;
    IF taken.is_cut THEN
        is_more := {schema}.postpone_are_more(
            target_queue_names, taken.last_rank, taken.last_id, CASE WHEN taken.with_locks THEN taken.taken_ids END,
            passed_over, passed_over_tasks);
    END IF;
    RETURN QUERY
    SELECT job.id, job.queue_name, job.task_name, job.priority, job.lock, job.queueing_lock, job.args,
           job.scheduled_at, job.attempts, is_more, job.status::text = 'todo', seen, taken.from_top, job.meta,
           job.deferred_by
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (taken.taken_ids) AND (job.status::text = 'doing' OR job.id = ANY (taken.claimed_ids))
    ORDER BY job.priority DESC, job.id;
END
$$;
