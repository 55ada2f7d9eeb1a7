-- Parked jobs: those that cannot run yet, and stand in the way.
--
-- A fetch walks through the jobs that wait, in the order in which they are to run (find.sql). A hundred thousand that are
-- scheduled for tomorrow, or stand behind one lock, once made each fetch walk past all of them. So such jobs are parked:
-- the indexes that fetches walk leave them out.
--
-- `parked` says where to look, and nothing of what may run. A job that is not parked is never overlooked, so null is always
-- right, and who changes rows by hand need not know the column.
--     'time'   The job is scheduled. Whatever its schedule says by now, a fetch after that time unparks it.
--     'lock'   Another job of the same lock runs, or waits before this one. A fetch unparks it when it is the first of a free lock.
-- A job that is deferred for later is parked as it is inserted. Others are parked by a fetch that has seen more than a few that
-- could not run. Who changes a job that is parked behind a lock unparks it, or notes its lock where he has no right to that.
--
-- How a fetch learns that a lock has become free: whoever changes or ends a job that may have stood in front notes its lock, if any
-- job is parked behind it. He unparks nobody himself: it would take the row of another job, which he would hold until his
-- commit. A note is dropped only by who has unparked the first, or has locked what stands in front instead and found it as it
-- seemed. So each of two who free a lock at once, and see each other's job still in front, leaves a note, and the last one is seen
-- to when both have committed.
--
-- Nobody is parked behind a lock that is just becoming free: who parks has locked the row of the job in front, so who ends that
-- waits for the commit, and sees what was parked. Who has an older snapshot (REPEATABLE READ) notes each lock that he frees.

-- One that is due within a second is not parked: to unpark it costs a write.
CREATE OR REPLACE FUNCTION {schema}.postpone_park_for_later() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.parked := CASE WHEN NEW.scheduled_at > clock_timestamp() + interval '1 second' THEN 'time' END;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER postpone_park_for_later BEFORE INSERT ON {schema}.procrastinate_jobs
    FOR EACH ROW WHEN (NEW.scheduled_at IS NOT NULL OR NEW.parked IS NOT NULL)
    EXECUTE FUNCTION {schema}.postpone_park_for_later();

-- Changes the column of these jobs, which this session has locked, and returns those that it has changed. No event and no
-- notification tells of it.
CREATE OR REPLACE FUNCTION {schema}.postpone_set_parked(job_ids bigint[], p_parked {schema}.postpone_parking) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    former text := {schema}.postpone_skip_update_trigger();
    changed_ids bigint[];
BEGIN
    WITH changed AS (
        UPDATE {schema}.procrastinate_jobs AS job SET parked = p_parked
        WHERE job.id = ANY (job_ids) AND job.parked IS DISTINCT FROM p_parked
        RETURNING job.id
    )
    SELECT array_agg(id) INTO changed_ids FROM changed;
    IF former IS NOT NULL THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
    END IF;
    RETURN coalesce(changed_ids, '{}');
END
$$;

-- Parked jobs whose time has come, up to max_jobs of them, the first first; without those that are passed over, and those that
-- another session has locked. Their rows are locked.
CREATE OR REPLACE FUNCTION {schema}.postpone_due_parked(max_jobs integer, passed_over bigint[], passed_over_tasks text[])
RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    now_at timestamptz := clock_timestamp();  -- known before the index is searched
BEGIN
    RETURN ARRAY(
        SELECT job.id FROM {schema}.procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.parked = 'time' AND coalesce(job.scheduled_at, '-infinity') <= now_at
          AND (passed_over IS NULL OR array_position(passed_over, job.id) IS NULL)
          AND (passed_over_tasks IS NULL OR array_position(passed_over_tasks, job.task_name::text) IS NULL)
        ORDER BY coalesce(job.scheduled_at, '-infinity')
        LIMIT max_jobs
        FOR NO KEY UPDATE SKIP LOCKED);
END
$$;

-- Before a fetch from the top: unparks what can run by now, up to a thousand jobs whose time has come, and returns what it has
-- unparked. Others skip that until the commit, so the caller announces what it does not take. A job that a trigger of the
-- application refuses to change, so that it could not be started either, stays where it is; `names_refused`: it is an error
-- where the job is of the caller's queues, so that postpone_fetch_around names it.
CREATE OR REPLACE FUNCTION {schema}.postpone_unpark(
    target_queue_names varchar[], passed_over bigint[], passed_over_tasks text[], names_refused boolean,
    may_fail boolean DEFAULT false)
RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    due_ids bigint[];
    due_id bigint;
    unparked_ids bigint[] := '{}';
BEGIN
    -- A transaction that keeps its snapshot may not change what changed since: see postpone_take_jobs.
    IF NOT may_fail AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        BEGIN
            RETURN {schema}.postpone_unpark(target_queue_names, passed_over, passed_over_tasks, names_refused, true);
        EXCEPTION WHEN serialization_failure THEN
            RETURN '{}';
        END;
    END IF;
    due_ids := {schema}.postpone_due_parked(1000, passed_over, passed_over_tasks);
    IF due_ids <> '{}' THEN
        BEGIN
            unparked_ids := {schema}.postpone_set_parked(due_ids, NULL);
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF {schema}.postpone_is_passing(sqlstate) OR sqlstate = '42501' THEN
                RAISE;
            END IF;
            FOREACH due_id IN ARRAY due_ids LOOP
                BEGIN
                    unparked_ids := unparked_ids || {schema}.postpone_set_parked(ARRAY[due_id], NULL);
                EXCEPTION WHEN OTHERS OR assert_failure THEN
                    IF {schema}.postpone_is_passing(sqlstate) OR names_refused AND EXISTS (
                        SELECT FROM {schema}.procrastinate_jobs AS job
                        WHERE job.id = due_id AND (coalesce(cardinality(target_queue_names), 0) = 0
                                                   OR array_position(target_queue_names, job.queue_name) IS NOT NULL))
                    THEN
                        RAISE;
                    END IF;
                END;
            END LOOP;
        END;
    END IF;
    RETURN unparked_ids || {schema}.postpone_unpark_noted();
END
$$;

-- Notes such of these locks, which may have become free, as jobs are parked behind. With the rights of the owner: who may end or
-- delete a job need have no others. Anybody may call it: a note makes fetches look, and nothing else.
CREATE OR REPLACE FUNCTION {schema}.postpone_note_freed(locks text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    INSERT INTO {schema}.postpone_noted_locks (lock)
    SELECT freed.lock FROM unnest(locks) AS freed (lock)
    WHERE freed.lock IS NOT NULL
      AND (current_setting('transaction_isolation') <> 'read committed'
           OR (SELECT job.id FROM {schema}.procrastinate_jobs AS job
               WHERE job.status = 'todo' AND job.parked = 'lock' AND job.lock = freed.lock LIMIT 1) IS NOT NULL);
END
$$;

-- Sees to up to a hundred locks that were noted, in no order, since some may stay out of reach. Returns the jobs that it has
-- unparked. It waits for nobody.
CREATE OR REPLACE FUNCTION {schema}.postpone_unpark_noted() RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    noted record;
    front record;
    unparked_ids bigint[] := '{}';
BEGIN
    IF NOT EXISTS (SELECT FROM {schema}.postpone_noted_locks)
        OR NOT has_table_privilege('{schema}.postpone_noted_locks'::regclass, 'UPDATE')
        OR NOT has_table_privilege('{schema}.postpone_noted_locks'::regclass, 'DELETE')
    THEN
        RETURN '{}';
    END IF;
    FOR noted IN
        SELECT ctid AS place, lock FROM {schema}.postpone_noted_locks ORDER BY random() LIMIT 100 FOR UPDATE SKIP LOCKED
    LOOP
        SELECT job.id, job.status, job.parked IS NOT DISTINCT FROM 'lock' AS is_parked INTO front
        FROM {schema}.postpone_front_of(noted.lock) AS job;
        IF front.id IS NULL THEN
            DELETE FROM {schema}.postpone_noted_locks WHERE ctid = noted.place;
        ELSIF NOT front.is_parked THEN
            -- Who ends this one from now on sees what is parked behind it.
            PERFORM FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = front.id AND job.status = front.status AND job.lock = noted.lock FOR SHARE SKIP LOCKED;
            IF FOUND THEN
                DELETE FROM {schema}.postpone_noted_locks WHERE ctid = noted.place;
            END IF;
        ELSE
            PERFORM FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = front.id AND job.status = front.status AND job.lock = noted.lock FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            BEGIN
                unparked_ids := unparked_ids || {schema}.postpone_set_parked(ARRAY[front.id], NULL);
                DELETE FROM {schema}.postpone_noted_locks WHERE ctid = noted.place;
            EXCEPTION WHEN OTHERS OR assert_failure THEN
                IF {schema}.postpone_is_passing(sqlstate) OR sqlstate = '42501' THEN
                    RAISE;
                END IF;
            END;
        END IF;
    END LOOP;
    RETURN unparked_ids;
END
$$;

-- The job that runs under this lock, or else the first that waits for it; all null for none.
CREATE OR REPLACE FUNCTION {schema}.postpone_front_of(p_lock text) RETURNS {schema}.procrastinate_jobs
LANGUAGE plpgsql AS $$
DECLARE
    front {schema}.procrastinate_jobs;
BEGIN
    SELECT * INTO front FROM {schema}.procrastinate_jobs AS running
    WHERE running.status = 'doing' AND running.lock = p_lock LIMIT 1;
    IF NOT FOUND THEN
        SELECT * INTO front FROM {schema}.procrastinate_jobs AS elder
        WHERE elder.status = 'todo' AND elder.lock = p_lock
        ORDER BY elder.priority DESC, elder.id LIMIT 1;
    END IF;
    RETURN front;
END
$$;

-- Announces those of these jobs that were unparked and not taken.
CREATE OR REPLACE FUNCTION {schema}.postpone_announce_unparked(unparked_ids bigint[], taken_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF unparked_ids = '{}' THEN
        RETURN;
    END IF;
    PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (unparked_ids) AND job.id = ANY (taken_ids) IS NOT TRUE
    GROUP BY job.queue_name;
END
$$;

-- For the housekeeper.
CREATE OR REPLACE FUNCTION {schema}.postpone_sweep_noted() RETURNS void
LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_bitmapscan = off
AS $$
BEGIN
    PERFORM {schema}.postpone_announce_unparked({schema}.postpone_unpark_noted(), NULL);
END
$$;

-- What walks have done so far in this transaction, as the server counts it anyway: jobs seen, jobs of a lock under which another
-- one runs, jobs for which was looked who is first of their lock. Zeros where the server does not count (track_counts).
CREATE OR REPLACE FUNCTION {schema}.postpone_counted_walks() RETURNS bigint[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY[
        pg_stat_get_xact_tuples_fetched('{schema}.postpone_jobs_order_idx'::regclass)
            + pg_stat_get_xact_tuples_fetched('{schema}.postpone_jobs_queue_order_idx'::regclass),
        pg_stat_get_xact_tuples_fetched('{schema}.procrastinate_jobs_lock_idx_v1'::regclass),
        pg_stat_get_xact_numscans('{schema}.postpone_jobs_lock_order_idx'::regclass)];
END
$$;

-- After a fetch from the top: parks what it has walked past since counted_before, if it was more than a few. A part of it at
-- once, and the next fetch the next part: the rows are locked until the commit. Does nothing where a trigger of the
-- application refuses the change.
CREATE OR REPLACE FUNCTION {schema}.postpone_park_crowd(
    target_queue_names varchar[], counted_before bigint[], taken integer)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    few constant integer := 30;
    counted bigint[] := {schema}.postpone_counted_walks();
    later timestamptz := clock_timestamp() + interval '1 second';
BEGIN
    IF counted[1] - counted_before[1] < few + 2 * coalesce(taken, 0)::bigint THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM {schema}.procrastinate_jobs AS job
               WHERE job.status = 'todo' AND job.parked IS NULL AND job.scheduled_at > later
               ORDER BY job.scheduled_at OFFSET few LIMIT 1)
    THEN
        PERFORM {schema}.postpone_set_parked(ARRAY(
            SELECT job.id FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.parked IS NULL AND job.scheduled_at > later
            ORDER BY job.scheduled_at DESC LIMIT 20000
            FOR NO KEY UPDATE SKIP LOCKED), 'time');
    END IF;
    IF counted[2] - counted_before[2] > few OR counted[3] - counted_before[3] - coalesce(taken, 0) > few THEN
        PERFORM {schema}.postpone_park_behind_locks(target_queue_names, few);
    END IF;
EXCEPTION WHEN OTHERS OR assert_failure THEN
    IF {schema}.postpone_is_passing(sqlstate) THEN
        RAISE;
    END IF;
END
$$;

-- Of the first jobs that fetches of these queues walk past: behind which locks do more than `few` wait? All but the first of such a
-- lock are parked, up to 20,000 jobs of up to ten locks. It waits for nobody's rows, and holds only those of jobs that cannot
-- run, and of what stands in front of them.
CREATE OR REPLACE FUNCTION {schema}.postpone_park_behind_locks(target_queue_names varchar[], few integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    sample constant integer := 500;
    any_queue boolean := coalesce(cardinality(target_queue_names), 0) = 0;
    most integer := 20000;
    crowded text;
    front {schema}.procrastinate_jobs;
    crowd bigint[];
BEGIN
    FOR crowded IN
        SELECT seen.lock
        FROM ((SELECT job.lock FROM {schema}.procrastinate_jobs AS job
               WHERE any_queue AND job.status = 'todo' AND job.parked IS NULL
               ORDER BY -job.priority::bigint, job.id LIMIT sample)
              UNION ALL
              SELECT job.lock
              FROM unnest(target_queue_names) AS target (name)
              CROSS JOIN LATERAL (
                  SELECT job.lock FROM {schema}.procrastinate_jobs AS job
                  WHERE NOT any_queue AND job.status = 'todo' AND job.parked IS NULL
                    AND job.queue_name >= target.name AND job.queue_name <= target.name
                  ORDER BY job.queue_name, -job.priority::bigint, job.id LIMIT sample) AS job
              LIMIT 10 * sample) AS seen
        WHERE seen.lock IS NOT NULL
        GROUP BY seen.lock
        HAVING count(*) > 1
        ORDER BY count(*) DESC
        LIMIT 10
    LOOP
        front := {schema}.postpone_front_of(crowded);
        PERFORM FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = front.id AND job.status = front.status AND job.lock = crowded AND job.priority = front.priority
        FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        -- From the end: there are those that came since the last time.
        crowd := ARRAY(
            SELECT job.id FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.lock = crowded AND job.parked IS NULL
              AND (front.status::text = 'doing'
                   OR (-front.priority::bigint, front.id) < (-job.priority::bigint, job.id))
            ORDER BY job.priority, job.id DESC
            LIMIT most
            FOR NO KEY UPDATE SKIP LOCKED);
        IF cardinality(crowd) > few THEN
            PERFORM {schema}.postpone_set_parked(crowd, 'lock');
            most := most - cardinality(crowd);
        END IF;
        -- Other fetches skip it until the commit.
        IF front.status::text = 'todo' THEN
            PERFORM {schema}.postpone_announce_jobs(front.queue_name, front.id, 1, false, true)
            WHERE front.scheduled_at IS NULL OR front.scheduled_at <= clock_timestamp();
        END IF;
        EXIT WHEN most < few;
    END LOOP;
END
$$;
