-- Triggers: every change of a job, by any program or person, writes event rows and sends notifications. (Functions that
-- start or end jobs do both themselves, as a set: postpone_skip_update_trigger.)
--
-- Triggers are at statement level with transition tables: a statement that touches ten thousand jobs writes their
-- events as one set and sends one notification per queue. A transition table's plan is cached after a statement of
-- one row, yet it may be run on many: the functions that join two of them forbid nested loops, which would be
-- quadratic then.
--
-- Notifications travel at commit. On procrastinate_queue_v1#<queue> and procrastinate_any_queue_v1, JSON text:
--   {"type": "job_inserted", "job_id": N, "queue": Q, "count": K}   K jobs of Q can be looked for now, N is the first
--       and "scheduled": true                                       (also) jobs of Q that wait for a time to come
--       and "freed_lock": true                                      among them one whose lock has become free
--   {"type": "abort_job_requested", "job_id": N}                    N is running and ought to stop, or was running and
--       another session than that of its worker has deleted it, finished it or sent it back
-- Python's workers look at type, and at job_id of the second; they ignore the rest. Any role that may connect
-- can send such a payload, so a receiver asks the database (postpone_jobs_to_stop) before it acts on one.

-- Procrastinate's own triggers, whatever their version called them.
DO $$
DECLARE
    foreign_trigger name;
BEGIN
    FOR foreign_trigger IN
        SELECT tgname
        FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
        WHERE tgrelid = '{schema}.procrastinate_jobs'::regclass AND NOT tgisinternal AND starts_with(proname, 'procrastinate_')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', foreign_trigger, '{schema}.procrastinate_jobs'::regclass);
    END LOOP;
END
$$;

-- Sends a payload to all listeners of this queue. A channel's name has at most 63 bytes, of which the prefix
-- takes 23: listeners for queues with longer names listen for any queue.
CREATE OR REPLACE FUNCTION {schema}.postpone_notify(queue_name varchar, payload text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF octet_length(queue_name) <= 40 THEN
        PERFORM pg_notify('procrastinate_queue_v1#' || queue_name, payload);
    END IF;
    PERFORM pg_notify('procrastinate_any_queue_v1', payload);
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_announce_jobs(
    queue_name varchar, first_job_id bigint, due_count bigint, scheduled boolean, freed_lock boolean)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.postpone_notify(queue_name, json_strip_nulls(json_build_object(
        'type', 'job_inserted', 'job_id', first_job_id, 'queue', queue_name, 'count', due_count,
        'scheduled', nullif(scheduled, false), 'freed_lock', nullif(freed_lock, false)))::text);
END
$$;

-- The jobs that may run next, for locks that have just become free: the first that waits of each, if none is
-- running.
CREATE OR REPLACE FUNCTION {schema}.postpone_successors(locks text[])
RETURNS TABLE (id bigint, queue_name varchar, scheduled_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT successor.id, successor.queue_name, successor.scheduled_at
    FROM unnest(locks) AS freed (lock)
    CROSS JOIN LATERAL (
        SELECT job.id, job.queue_name, job.scheduled_at
        FROM {schema}.procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.lock = freed.lock
        ORDER BY job.priority DESC, job.id
        LIMIT 1
    ) AS successor
    WHERE NOT EXISTS (SELECT FROM {schema}.procrastinate_jobs AS running
                      WHERE running.status = 'doing' AND running.lock = freed.lock);
END
$$;

-- A fetch in the same transaction is to see them, wherever it would begin (postpone_find_jobs).
CREATE OR REPLACE FUNCTION {schema}.postpone_announce_successors(locks text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.postpone_announce_jobs(
        queue_name, min(id), count(*) FILTER (WHERE scheduled_at IS NULL OR scheduled_at <= clock_timestamp()),
        bool_or(scheduled_at > clock_timestamp()), true)
    FROM {schema}.postpone_successors(locks)
    GROUP BY queue_name;
    IF FOUND THEN
        PERFORM set_config('postpone.fetch_from_top', 'yes', true);
    END IF;
    PERFORM {schema}.postpone_note_freed(locks);
END
$$;

-- Fetch and finish write the events and send the notifications of their own statement as a set, and switch the update
-- trigger off for it: the trigger would have to join two transition tables. They call this before that statement, and
-- postpone_restore_update_trigger() after it, with what this returned. Null: the application has a BEFORE UPDATE row
-- trigger. Only the update trigger sees the rows that such a one has changed, so it stays on.
--
-- The switch holds for statements at this depth of triggers alone: what a trigger of the application changes meanwhile
-- lies deeper. A role that may change jobs can set it by hand; then no event records its change.
CREATE OR REPLACE FUNCTION {schema}.postpone_skip_update_trigger() RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before_row_update constant smallint := 1 | 2 | 16;  -- bits of tgtype
    former text := coalesce(current_setting('postpone.update_trigger_off_at_depth', true), '');
BEGIN
    IF EXISTS (SELECT FROM pg_trigger
               WHERE tgrelid = '{schema}.procrastinate_jobs'::regclass AND tgenabled <> 'D'
                 AND tgtype & before_row_update = before_row_update)
    THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('postpone.update_trigger_off_at_depth', (pg_trigger_depth() + 1)::text, true);
    RETURN former;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_restore_update_trigger(former text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('postpone.update_trigger_off_at_depth', former, true);
END
$$;

-- The event that a change of status writes; null for none.
CREATE OR REPLACE FUNCTION {schema}.postpone_status_event(
    before {schema}.procrastinate_job_status, after {schema}.procrastinate_job_status)
RETURNS {schema}.procrastinate_job_event_type
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN before = after THEN NULL
        WHEN after = 'doing' THEN 'started'
        WHEN after = 'todo' AND before = 'doing' THEN 'deferred_for_retry'
        WHEN after = 'todo' THEN 'retried'
        WHEN after = 'cancelled' OR before = 'todo' THEN 'cancelled'
        WHEN after IN ('succeeded', 'failed', 'aborted') AND before = 'doing' THEN after::text
    END;
END
$$;

-- Is this lease, or was it a moment ago, that of a worker of Postpone?
CREATE OR REPLACE FUNCTION {schema}.postpone_is_ours(p_worker_id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM {schema}.postpone_workers WHERE worker_id = p_worker_id);
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_jobs_inserted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.procrastinate_events (job_id, type, at)
    SELECT job.id, event.type, event.at
    FROM created AS job
    CROSS JOIN LATERAL (VALUES ('deferred'::{schema}.procrastinate_job_event_type, now()), ('scheduled', job.scheduled_at))
        AS event (type, at)
    WHERE job.status = 'todo' AND event.at IS NOT NULL;

    PERFORM {schema}.postpone_announce_jobs(
        queue_name, min(id), count(*) FILTER (WHERE scheduled_at IS NULL OR scheduled_at <= clock_timestamp()),
        bool_or(scheduled_at > clock_timestamp()), false)
    FROM created
    WHERE status = 'todo'
    GROUP BY queue_name;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_jobs_updated() RETURNS trigger
LANGUAGE plpgsql
SET enable_nestloop = off SET jit = off
AS $$
DECLARE
    callers_path pg_catalog.text;
    ready_ids bigint[];
    freed_locks pg_catalog.text[];
    aborts boolean;
    taken_ids bigint[];
    parked_ids bigint[];
    claimed bigint[];
    unclaimed bigint[];
BEGIN
    IF pg_catalog.current_setting('postpone.update_trigger_off_at_depth', true)
        OPERATOR(pg_catalog.=) pg_catalog.pg_trigger_depth()::pg_catalog.text
    THEN
        RETURN NULL;
    END IF;
    -- From PostgreSQL 18 on this trigger runs as the owner of the tables when the end of a lease sets worker_id to null.
    -- Nothing of the caller's may come between then: neither a function of its own that fits better than one that is
    -- built in, nor an operator. (Setting the path each time would cost more, and would take it away from triggers of
    -- the application that fire inside.)
    IF (CASE WHEN pg_catalog.current_setting('role') OPERATOR(pg_catalog.=) 'none' THEN session_user::pg_catalog.text
             ELSE pg_catalog.current_setting('role') END) OPERATOR(pg_catalog.<>) current_user::pg_catalog.text
    THEN
        callers_path := pg_catalog.current_setting('search_path');
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    END IF;

    -- A job that is claimed runs, though its row says that it waits (claims.sql); until somebody changes that by hand.
    SELECT array_agg(claim.job_id),
           array_agg(claim.job_id) FILTER (WHERE after.status <> 'doing' OR after.worker_id IS DISTINCT FROM claim.worker_id)
    INTO unclaimed, claimed
    FROM {schema}.postpone_claims AS claim
    JOIN after ON after.id = claim.job_id
    WHERE claim.job_id = ANY (ARRAY(SELECT id FROM before WHERE status = 'todo')) AND after.status <> 'todo';
    IF unclaimed IS NOT NULL THEN
        PERFORM {schema}.postpone_drop_dead_claims(unclaimed);
    END IF;

    -- Most statements start or finish a job without a lock: for them this one query is all.
    WITH change AS MATERIALIZED (
        SELECT id, after.scheduled_at, before.lock,
               {schema}.postpone_status_event(before.status, after.status) AS event,
               after.status = 'todo' AND after.scheduled_at IS NOT NULL
                   AND (before.status, before.scheduled_at) IS DISTINCT FROM (after.status, after.scheduled_at)
                   AS is_scheduled,
               after.abort_requested AND NOT before.abort_requested AS is_to_abort,
               -- Not as the worker of Postpone that runs the job ends it. Python's workers keep worker_id.
               coalesce(before.id = ANY (claimed), false)
                   OR before.status = 'doing' AND before.worker_id IS NOT NULL
                   AND (after.status <> 'doing' OR after.worker_id IS DISTINCT FROM before.worker_id)
                   AND NOT (after.status <> 'doing' AND after.worker_id IS NULL
                            AND (after.attempts = {schema}.postpone_next_attempt(before.attempts)
                                 OR after.status = 'todo' AND after.attempts = before.attempts))
                   AND (after.status = 'doing' OR {schema}.postpone_is_ours(before.worker_id))
                   AS is_taken,
               after.status = 'todo'
                   AND (before.status, before.queue_name, before.priority, before.lock, before.scheduled_at)
                   IS DISTINCT FROM (after.status, after.queue_name, after.priority, after.lock, after.scheduled_at)
                   AS is_ready,
               before.lock IS NOT NULL AND before.status IN ('todo', 'doing')
                   AND (after.lock IS DISTINCT FROM before.lock
                        OR (after.status <> 'doing'
                            AND (before.status, before.priority) <> (after.status, after.priority)))
                   AS frees_lock,
               before.parked IS NOT DISTINCT FROM 'lock' AND after.parked IS NOT DISTINCT FROM 'lock' AS is_parked
        FROM before JOIN after USING (id)
    ), logged AS (
        INSERT INTO {schema}.procrastinate_events (job_id, type, at)
        SELECT change.id, event.type, event.at
        FROM change
        CROSS JOIN LATERAL (
            VALUES (change.event, now()),
                   (CASE WHEN is_scheduled THEN 'scheduled'::{schema}.procrastinate_job_event_type END, change.scheduled_at),
                   (CASE WHEN is_to_abort THEN 'abort_requested'::{schema}.procrastinate_job_event_type END, now())
        ) AS event (type, at)
        WHERE event.type IS NOT NULL
    )
    SELECT array_agg(id) FILTER (WHERE is_ready), array_agg(DISTINCT lock) FILTER (WHERE frees_lock),
           bool_or(is_to_abort), array_agg(id) FILTER (WHERE is_taken), array_agg(id) FILTER (WHERE is_parked)
    INTO ready_ids, freed_locks, aborts, taken_ids, parked_ids
    FROM change;

    IF parked_ids IS NOT NULL AND has_column_privilege('{schema}.procrastinate_jobs'::regclass, 'parked', 'UPDATE') THEN
        PERFORM {schema}.postpone_set_parked(parked_ids, NULL);
    ELSIF parked_ids IS NOT NULL THEN
        PERFORM {schema}.postpone_note_freed(ARRAY(SELECT lock FROM after WHERE id = ANY (parked_ids)));
    END IF;
    IF freed_locks IS NOT NULL THEN
        IF EXISTS (SELECT FROM {schema}.postpone_successors(freed_locks)) THEN
            PERFORM pg_catalog.set_config('postpone.fetch_from_top', 'yes', true);
        END IF;
        PERFORM {schema}.postpone_note_freed(freed_locks);
    END IF;
    IF ready_ids IS NOT NULL OR freed_locks IS NOT NULL THEN
        PERFORM {schema}.postpone_announce_jobs(
            queue_name, min(id),
            count(DISTINCT id) FILTER (WHERE scheduled_at IS NULL OR scheduled_at <= clock_timestamp()),
            bool_or(scheduled_at > clock_timestamp()), bool_or(is_successor))
        FROM (SELECT id, queue_name, scheduled_at, false AS is_successor
              FROM after JOIN unnest(ready_ids) AS ready (id) USING (id)
              UNION ALL
              SELECT id, queue_name, scheduled_at, true FROM {schema}.postpone_successors(freed_locks)) AS job
        GROUP BY queue_name;
    END IF;

    IF aborts THEN
        PERFORM {schema}.postpone_notify(
            after.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', id)::text)
        FROM before JOIN after USING (id)
        WHERE after.status = 'doing' AND after.abort_requested AND NOT before.abort_requested;
    END IF;
    IF taken_ids IS NOT NULL THEN
        PERFORM {schema}.postpone_notify(
            before.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', id)::text)
        FROM before JOIN unnest(taken_ids) AS taken (id) USING (id);
    END IF;
    IF callers_path IS NOT NULL THEN
        PERFORM pg_catalog.set_config('search_path', callers_path, true);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION {schema}.postpone_jobs_deleted() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    freed_locks text[];
BEGIN
    SELECT array_agg(DISTINCT lock) INTO freed_locks
    FROM deleted
    WHERE lock IS NOT NULL AND status IN ('todo', 'doing');

    IF freed_locks IS NOT NULL THEN
        PERFORM {schema}.postpone_announce_successors(freed_locks);
    END IF;
    -- A worker that deletes the job it ran need not be told to stop.
    IF current_setting('postpone.update_trigger_off_at_depth', true) = pg_trigger_depth()::text THEN
        RETURN NULL;
    END IF;
    PERFORM {schema}.postpone_notify(
        deleted.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', deleted.id)::text)
    FROM deleted
    WHERE deleted.status = 'doing' AND {schema}.postpone_is_ours(deleted.worker_id);
    -- One that is claimed runs.
    PERFORM {schema}.postpone_notify(
        deleted.queue_name, json_build_object('type', 'abort_job_requested', 'job_id', deleted.id)::text)
    FROM {schema}.postpone_claims AS claim
    JOIN deleted ON deleted.id = claim.job_id
    WHERE claim.job_id = ANY (ARRAY(SELECT id FROM deleted WHERE status = 'todo'));
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER postpone_jobs_inserted AFTER INSERT ON {schema}.procrastinate_jobs
    REFERENCING NEW TABLE AS created
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_jobs_inserted();
CREATE OR REPLACE TRIGGER postpone_jobs_updated AFTER UPDATE ON {schema}.procrastinate_jobs
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_jobs_updated();
CREATE OR REPLACE TRIGGER postpone_jobs_deleted AFTER DELETE ON {schema}.procrastinate_jobs
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.postpone_jobs_deleted();
