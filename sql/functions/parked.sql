-- Parked jobs: those that cannot run yet, and stand in the way.
--
-- A fetch walks through the jobs that wait, in the order in which they are to run (find.sql). A hundred thousand that are
-- scheduled for tomorrow, or stand behind one lock, once made each fetch walk past all of them. So such jobs are parked:
-- the indexes that fetches walk leave them out.
--
-- `parked` says where to look, and nothing of what may run. A job that is not parked is never overlooked, so null is always
-- right, and who changes rows by hand need not know the column.
--     'time'   The job is scheduled. Whatever its schedule says by now, the first fetch after that time unparks it.
--     'lock'   Another job of the same lock runs, or waits before this one. Whoever makes this one the first of its lock, or
--              changes it in any way, unparks it.
-- A job that is deferred for later is parked as it is inserted. Others are parked by a fetch that has seen more than a few that
-- could not run.
--
-- Nobody is parked behind a lock that is just becoming free. Who parks has locked the row of the job that stands before, and
-- writes it anew: who ends that job meanwhile waits for the commit and sees what was parked; who has an older snapshot (REPEATABLE
-- READ) gets a serialization failure, and tries again.
--
-- These functions run with the rights of the owner of the tables: who may run, end or delete a job need have no right to change
-- this column of others. Whoever calls them brings about nothing but what is so already.

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

-- Changes the column of these jobs, which are locked by this session, and of no other. No event and no notification tells of
-- it.
CREATE OR REPLACE FUNCTION {schema}.postpone_set_parked(job_ids bigint[], p_parked {schema}.postpone_parking) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    former text := {schema}.postpone_skip_update_trigger();
BEGIN
    UPDATE {schema}.procrastinate_jobs AS job SET parked = p_parked
    WHERE job.id = ANY (job_ids) AND job.parked IS DISTINCT FROM p_parked;
    IF former IS NOT NULL THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
    END IF;
END
$$;

-- Parked jobs whose time has come at now_at, up to max_jobs of them, the first first; without those that are passed over, and
-- those that another session has locked. Their rows are locked.
CREATE OR REPLACE FUNCTION {schema}.postpone_due_parked(
    now_at timestamptz, max_jobs integer, passed_over bigint[], passed_over_tasks text[])
RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    until timestamptz := least(now_at, clock_timestamp());  -- known before the index is searched
BEGIN
    RETURN ARRAY(
        SELECT job.id FROM {schema}.procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.parked = 'time' AND coalesce(job.scheduled_at, '-infinity') <= until
          AND (passed_over IS NULL OR array_position(passed_over, job.id) IS NULL)
          AND (passed_over_tasks IS NULL OR array_position(passed_over_tasks, job.task_name::text) IS NULL)
        ORDER BY coalesce(job.scheduled_at, '-infinity')
        LIMIT max_jobs
        FOR NO KEY UPDATE SKIP LOCKED);
END
$$;

-- Unparks these jobs, if their time has come. Other fetches skip them until the commit: so they are announced, where the
-- caller may not take them all.
CREATE OR REPLACE FUNCTION {schema}.postpone_unpark_due(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    due_ids bigint[] := ARRAY(
        SELECT job.id FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (job_ids) AND job.parked = 'time'
          AND coalesce(job.scheduled_at, '-infinity') <= clock_timestamp());
BEGIN
    PERFORM {schema}.postpone_set_parked(due_ids, NULL);
    IF cardinality(due_ids) > 1 THEN
        PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, false)
        FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (due_ids)
        GROUP BY job.queue_name;
    END IF;
END
$$;

-- Unparks these jobs, which stand behind a lock no longer, or were changed. One whose row another session has locked is not
-- waited for: its lock is noted, and looked after later (postpone_unpark_noted). So is that of one which a trigger of the
-- application keeps from being changed; it could not be started, either.
CREATE OR REPLACE FUNCTION {schema}.postpone_unpark_first(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    held bigint[] := ARRAY(
        SELECT job.id FROM {schema}.procrastinate_jobs AS job
        WHERE job.id = ANY (job_ids) AND job.parked = 'lock'
        ORDER BY job.id FOR NO KEY UPDATE SKIP LOCKED);
BEGIN
    BEGIN
        PERFORM {schema}.postpone_set_parked(held, NULL);
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        IF {schema}.postpone_is_passing(sqlstate) THEN
            RAISE;
        END IF;
    END;
    INSERT INTO {schema}.postpone_noted_locks (lock)
    SELECT DISTINCT job.lock FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (job_ids) AND job.status::text = 'todo' AND job.parked = 'lock' AND job.lock IS NOT NULL
      AND NOT EXISTS (SELECT FROM {schema}.postpone_noted_locks AS noted WHERE noted.lock = job.lock);
END
$$;

-- Looks after the locks that were noted, a hundred at a time. For the housekeeper, and for a fetch that has found nothing. It
-- changes and announces nothing for a lock whose next job is still out of reach.
CREATE OR REPLACE FUNCTION {schema}.postpone_unpark_noted() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_bitmapscan = off
AS $$
DECLARE
    noted record;
    next_id bigint;
BEGIN
    FOR noted IN SELECT ctid, lock FROM {schema}.postpone_noted_locks LIMIT 100 FOR UPDATE SKIP LOCKED LOOP
        next_id := (SELECT id FROM {schema}.postpone_successors(ARRAY[noted.lock]) WHERE is_parked);
        PERFORM FROM {schema}.procrastinate_jobs WHERE id = next_id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN next_id IS NOT NULL AND NOT FOUND;
        BEGIN
            PERFORM {schema}.postpone_set_parked(ARRAY[next_id], NULL);
            DELETE FROM {schema}.postpone_noted_locks WHERE ctid = noted.ctid;
            PERFORM {schema}.postpone_announce_jobs(job.queue_name, job.id, 1, false, true)
            FROM {schema}.procrastinate_jobs AS job
            WHERE job.id = next_id;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF {schema}.postpone_is_passing(sqlstate) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
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

-- Parks what a fetch has walked past since counted_before, if it was more than a few: such jobs as it has taken none of
-- (taken), nor siblings in the same moment.
CREATE OR REPLACE FUNCTION {schema}.postpone_park_crowd(
    target_queue_names varchar[], counted_before bigint[], taken integer, from_top boolean)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    counted bigint[] := {schema}.postpone_counted_walks();
    seen bigint := counted[1] - counted_before[1];
    behind_running bigint := counted[2] - counted_before[2];
    behind_waiting bigint := counted[3] - counted_before[3] - coalesce(taken, 0);
BEGIN
    IF seen < 50 + 2 * coalesce(taken, 0)::bigint THEN
        RETURN;
    END IF;
    PERFORM {schema}.postpone_park(
        target_queue_names, least(seen, 2000000)::integer,
        -- Siblings may be about to take those for which was looked only who is first: it takes another look to tell.
        behind_running > 30 OR from_top AND behind_waiting > 30);
END
$$;

-- Parks such of the first look_ahead jobs that fetches of these queues walk past as cannot run yet: a part of them at once, which
-- takes a few times as long as to walk past all, and the next fetch the next part. No more than so many, since the rows are
-- locked until the commit, and those of the jobs in front. Does nothing where a trigger of the application refuses the
-- change.
CREATE OR REPLACE FUNCTION {schema}.postpone_park(
    target_queue_names varchar[], look_ahead integer, behind_locks boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    few constant integer := 30;
    most integer := least(50000, greatest(1000, look_ahead / 4));
    later timestamptz := clock_timestamp() + interval '1 second';
BEGIN
    IF EXISTS (SELECT FROM {schema}.procrastinate_jobs AS job
               WHERE job.status = 'todo' AND job.parked IS NULL AND job.scheduled_at > later
               ORDER BY job.scheduled_at OFFSET few LIMIT 1)
    THEN
        PERFORM {schema}.postpone_set_parked(ARRAY(
            SELECT job.id FROM {schema}.procrastinate_jobs AS job
            WHERE job.status = 'todo' AND job.parked IS NULL AND job.scheduled_at > later
            ORDER BY job.scheduled_at DESC LIMIT most
            FOR NO KEY UPDATE SKIP LOCKED), 'time');
    END IF;
    IF behind_locks THEN
        PERFORM {schema}.postpone_park_behind_locks(target_queue_names, look_ahead, most);
    END IF;
EXCEPTION WHEN OTHERS OR assert_failure THEN
    IF {schema}.postpone_is_passing(sqlstate) THEN
        RAISE;
    END IF;
END
$$;

-- For postpone_park, with its settings. It waits for nobody's rows.
CREATE OR REPLACE FUNCTION {schema}.postpone_park_behind_locks(
    target_queue_names varchar[], look_ahead integer, most integer)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    few constant integer := 30;
    any_queue boolean := coalesce(cardinality(target_queue_names), 0) = 0;
    crowd bigint[];
    first_ids bigint[];
    former text;
BEGIN
    -- Who stands before each of them: the one that runs, or else the first that waits.
    WITH walked AS (
        (SELECT job.id, job.lock FROM {schema}.procrastinate_jobs AS job
         WHERE any_queue AND job.status = 'todo' AND job.parked IS NULL
         ORDER BY -job.priority::bigint, job.id LIMIT look_ahead)
        UNION ALL
        SELECT job.id, job.lock
        FROM unnest(target_queue_names) AS target (name)
        CROSS JOIN LATERAL (
            SELECT job.id, job.lock FROM {schema}.procrastinate_jobs AS job
            WHERE NOT any_queue AND job.status = 'todo' AND job.parked IS NULL
              AND job.queue_name >= target.name AND job.queue_name <= target.name
            ORDER BY job.queue_name, -job.priority::bigint, job.id LIMIT look_ahead) AS job
    ), crowded AS (
        SELECT walked.id, coalesce(
            (SELECT running.id FROM {schema}.procrastinate_jobs AS running
             WHERE running.status = 'doing' AND running.lock = walked.lock LIMIT 1),
            (SELECT elder.id FROM {schema}.procrastinate_jobs AS elder
             WHERE elder.status = 'todo' AND elder.lock = walked.lock
             ORDER BY elder.priority DESC, elder.id LIMIT 1)) AS first_id
        FROM walked
        WHERE walked.lock IS NOT NULL
    )
    SELECT array_agg(id), array_agg(DISTINCT first_id) INTO crowd, first_ids
    FROM (SELECT id, first_id FROM crowded WHERE first_id <> id LIMIT most) AS blocked;
    IF cardinality(crowd) > few IS NOT TRUE THEN
        RETURN;
    END IF;

    first_ids := ARRAY(SELECT job.id FROM {schema}.procrastinate_jobs AS job
                       WHERE job.id = ANY (first_ids) ORDER BY job.id FOR NO KEY UPDATE SKIP LOCKED);
    crowd := ARRAY(SELECT job.id FROM {schema}.procrastinate_jobs AS job
                   WHERE job.id = ANY (crowd) AND job.status::text = 'todo'
                   ORDER BY job.id FOR NO KEY UPDATE SKIP LOCKED);
    former := {schema}.postpone_skip_update_trigger();
    WITH first AS (
        UPDATE {schema}.procrastinate_jobs AS job SET parked = job.parked
        WHERE job.id = ANY (first_ids) AND job.status::text IN ('todo', 'doing')
        RETURNING job.id, job.lock, job.status, job.priority
    )
    UPDATE {schema}.procrastinate_jobs AS job SET parked = 'lock'
    FROM first
    WHERE job.id = ANY (crowd) AND job.lock = first.lock AND job.parked IS NULL
      AND (first.status::text = 'doing'
           OR (-first.priority::bigint, first.id) < (-job.priority::bigint, job.id));
    IF former IS NOT NULL THEN
        PERFORM {schema}.postpone_restore_update_trigger(former);
    END IF;
    -- Other fetches skip those that wait until we commit.
    PERFORM {schema}.postpone_announce_jobs(job.queue_name, min(job.id), count(*), false, true)
    FROM {schema}.procrastinate_jobs AS job
    WHERE job.id = ANY (first_ids) AND job.status::text = 'todo'
      AND (job.scheduled_at IS NULL OR job.scheduled_at <= clock_timestamp())
    GROUP BY job.queue_name;
END
$$;
