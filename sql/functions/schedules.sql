-- Schedules: which there are, and their ticks. When a schedule ticks is computed by the housekeepers, who know the time zones
-- (libtask/wire/zoned_cron.h); that each tick is deferred once, and none of a schedule that is paused, is decided here.

-- The unix seconds as a moment; what lies outside of the years 1970 to 9999 is moved to their ends.
CREATE OR REPLACE FUNCTION {schema}.postpone_moment_of(tick bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN tick IS NOT NULL THEN to_timestamp(least(greatest(tick, 0), 253402300799)) END
$$;

-- The last tick of a schedule that was deferred by a program that does not know postpone_schedules: Python's workers, and
-- Postpone's older supervisors. What lies in the future is none.
CREATE OR REPLACE FUNCTION {schema}.postpone_last_periodic_defer(p_task_name varchar, p_periodic_id varchar) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT max(tick.defer_timestamp)
            FROM {schema}.procrastinate_periodic_defers AS tick
            WHERE tick.task_name = p_task_name AND tick.periodic_id = p_periodic_id
              AND tick.defer_timestamp BETWEEN 0 AND extract(epoch FROM now()) + 60);
END
$$;

-- A supervisor serves these schedules: objects with task, id, cron, zone, missed, missed_within_s, queue, priority, lock,
-- queueing_lock and args. Returns up to which tick each is done with (unix seconds): ticks after that one are to be deferred, or
-- were missed. For a new schedule, and one that ticks at other times now, that is this moment. Those of whom no supervisor
-- has spoken for a month are forgotten, unless a person has paused them.
CREATE OR REPLACE FUNCTION {schema}.postpone_announce_schedules(p_supervisor text, p_schedules jsonb)
RETURNS TABLE (task varchar, id varchar, done_until bigint)
LANGUAGE plpgsql AS $$
DECLARE
    soon constant timestamptz := now() + interval '60 seconds';
BEGIN
    DELETE FROM {schema}.postpone_schedules AS old
    WHERE old.announced_at < now() - interval '30 days' AND old.paused_at IS NULL
      AND NOT EXISTS (SELECT FROM jsonb_to_recordset(p_schedules) AS said (task varchar, id varchar)
                      WHERE said.task = old.task_name AND said.id = old.periodic_id);
    RETURN QUERY
    INSERT INTO {schema}.postpone_schedules AS known (
        task_name, periodic_id, cron, zone, missed, missed_within, queue_name, priority, lock, queueing_lock, args, since,
        announced_at, announced_by)
    SELECT DISTINCT ON (said.task, said.id)
           said.task, said.id, said.cron, said.zone, said.missed, said.missed_within_s, said.queue, said.priority, said.lock,
           said.queueing_lock, said.args,
           coalesce({schema}.postpone_moment_of({schema}.postpone_last_periodic_defer(said.task, said.id)), now()),
           now(), p_supervisor
    FROM jsonb_to_recordset(p_schedules) AS said (
        task varchar, id varchar, cron text, zone text, missed text, missed_within_s double precision, queue varchar,
        priority integer, lock text, queueing_lock text, args jsonb)
    -- All supervisors in the same order, so that none waits for the other.
    ORDER BY said.task, said.id
    ON CONFLICT ON CONSTRAINT postpone_schedules_pkey DO UPDATE SET
        cron = excluded.cron, zone = excluded.zone, missed = excluded.missed, missed_within = excluded.missed_within,
        queue_name = excluded.queue_name, priority = excluded.priority, lock = excluded.lock,
        queueing_lock = excluded.queueing_lock, args = excluded.args,
        since = CASE WHEN known.cron = excluded.cron AND known.zone = excluded.zone THEN known.since ELSE now() END,
        announced_at = now(), announced_by = excluded.announced_by
    RETURNING known.task_name, known.periodic_id,
              -- What was written while the server's clock was ahead counts as now: it would silence the schedule until then.
              greatest(0,
                       floor(extract(epoch FROM CASE WHEN known.since > soon THEN now() ELSE known.since END)),
                       floor(extract(epoch FROM CASE WHEN known.last_tick > soon THEN now() ELSE known.last_tick END)),
                       {schema}.postpone_last_periodic_defer(known.task_name, known.periodic_id))::bigint;
END
$$;

-- Defers the job of a tick, once, whichever of many supervisors and Python's workers comes first. `disposition` is
-- deferred (job_id is the job), done (that tick, or a later one, was deferred before, or is none of this schedule), paused, or
-- enqueued (a job with the queueing lock waits still; the tick is done with).
CREATE OR REPLACE FUNCTION {schema}.postpone_defer_tick(
    p_task_name varchar, p_periodic_id varchar, p_tick bigint, p_queue_name varchar, p_priority integer, p_lock text,
    p_queueing_lock text, p_args jsonb)
RETURNS TABLE (job_id bigint, disposition text)
LANGUAGE plpgsql AS $$
DECLARE
    known {schema}.postpone_schedules;
    soon constant timestamptz := now() + interval '60 seconds';
    done_until timestamptz;
    new_job_id bigint;
    violated text;
BEGIN
    IF p_tick IS NULL THEN
        RAISE EXCEPTION 'postpone_defer_tick: the tick is null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- The lock makes supervisors wait for each other here. Those that defer ticks without it are met below, at the row of
    -- procrastinate_periodic_defers that they write first of all.
    SELECT * INTO known
    FROM {schema}.postpone_schedules AS schedule
    WHERE schedule.task_name = p_task_name AND schedule.periodic_id = p_periodic_id
    FOR UPDATE;
    -- Of earlier ticks procrastinate_periodic_defers keeps nothing. A housekeeper that has been at work before a schedule was changed,
    -- or paused and resumed, does not know of it.
    done_until := greatest(CASE WHEN known.last_tick <= soon THEN known.last_tick END,
                           CASE WHEN known.since <= soon THEN known.since END);
    IF done_until >= {schema}.postpone_moment_of(p_tick)
        OR {schema}.postpone_last_periodic_defer(p_task_name, p_periodic_id) >= p_tick
    THEN
        disposition := 'done';
    ELSIF known.paused_at IS NOT NULL THEN
        disposition := 'paused';
    ELSE
        BEGIN
            new_job_id := {schema}.procrastinate_defer_periodic_job_v2(
                p_queue_name, p_lock, p_queueing_lock, p_task_name, p_priority, p_periodic_id, p_tick, p_args);
            disposition := CASE WHEN new_job_id IS NULL THEN 'done' ELSE 'deferred' END;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
            IF violated <> 'procrastinate_jobs_queueing_lock_idx_v1' THEN
                RAISE;
            END IF;
            disposition := 'enqueued';
        END;
        UPDATE {schema}.postpone_schedules AS schedule
        SET last_tick = {schema}.postpone_moment_of(p_tick),
            last_job_id = coalesce(new_job_id, schedule.last_job_id)
        WHERE schedule.task_name = p_task_name AND schedule.periodic_id = p_periodic_id;
    END IF;
    job_id := new_job_id;
    RETURN NEXT;
END
$$;

-- From now on, whichever supervisor serves it, its ticks pass without a job. False when there is no such schedule.
CREATE OR REPLACE FUNCTION {schema}.postpone_pause_schedule(p_task_name text, p_periodic_id text DEFAULT '') RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.postpone_schedules AS schedule
    SET paused_at = coalesce(schedule.paused_at, now())
    WHERE schedule.task_name = p_task_name AND schedule.periodic_id = p_periodic_id;
    RETURN FOUND;
END
$$;

-- It ticks again. What it missed meanwhile is not made up for.
CREATE OR REPLACE FUNCTION {schema}.postpone_resume_schedule(p_task_name text, p_periodic_id text DEFAULT '') RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.postpone_schedules AS schedule
    SET since = CASE WHEN schedule.paused_at IS NULL THEN schedule.since ELSE now() END, paused_at = NULL
    WHERE schedule.task_name = p_task_name AND schedule.periodic_id = p_periodic_id;
    RETURN FOUND;
END
$$;

-- Defers a job as a tick of the schedule would at this moment, paused or not; ticks are neither used up nor put off by it. Null
-- when there is no such schedule.
CREATE OR REPLACE FUNCTION {schema}.postpone_run_schedule(p_task_name text, p_periodic_id text DEFAULT '') RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    known {schema}.postpone_schedules;
BEGIN
    SELECT * INTO known
    FROM {schema}.postpone_schedules AS schedule
    WHERE schedule.task_name = p_task_name AND schedule.periodic_id = p_periodic_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN {schema}.postpone_defer(
        known.task_name, known.args || jsonb_build_object('timestamp', floor(extract(epoch FROM now()))::bigint),
        known.queue_name, known.priority, known.lock, known.queueing_lock);
END
$$;
