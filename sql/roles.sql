-- Four roles with as little as they need. None of them may log in: grant them to those who do.
--
--     GRANT postpone_worker TO kitchen_supervisor;      runs jobs: supervisors, and Python's workers
--     GRANT postpone_client TO shop;                    defers jobs, and can do no more
--     GRANT postpone_operator TO office;                decides what becomes of jobs, and runs none: admin pages
--     GRANT postpone_monitor TO grafana;                reads everything, and can do no more
--
-- Run by `postpone schema roles`, and again by every `postpone schema apply` in a database where it was run before, so
-- that what a migration adds is granted, too. Makes privileges exactly what stands here: what else these roles had
-- been given on Postpone's objects is taken from them.
--
-- Roles belong to the whole server, privileges to this database, in the schema of procrastinate_jobs.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['postpone_worker', 'postpone_client', 'postpone_monitor', 'postpone_operator'] LOOP
        IF to_regrole(role_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL; -- another session makes them for another database at this moment
                WHEN insufficient_privilege THEN
                    -- An older version made the other three. A role that applies the schema need not be able
                    -- to make roles.
                    IF role_name <> 'postpone_operator' THEN
                        RAISE;
                    END IF;
            END;
        END IF;
    END LOOP;
END
$$;

DO $$
DECLARE
    here oid := (SELECT relnamespace FROM pg_class WHERE oid = 'procrastinate_jobs'::regclass);
    here_roles text := (
        SELECT string_agg(rolname, ', ') FROM pg_roles
        WHERE rolname IN ('postpone_worker', 'postpone_client', 'postpone_monitor', 'postpone_operator'));
    readers text := (
        SELECT string_agg(rolname, ', ') FROM pg_roles
        WHERE rolname IN ('postpone_worker', 'postpone_monitor', 'postpone_operator'));
    attempts text := 'INSERT, UPDATE (cause, exception_type, message, signal, exit_status, stderr_tail, run_time, cpu_time, '
                     'max_rss, worker_id, worker_name, superseded_by, ended_at)';
    object record;
    allowed record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', here::regnamespace, here_roles);

    -- Whatever is here now, or comes with a later migration: nothing but what follows, and reading for most.
    -- Revoking from a table takes the privileges on its columns, too.
    FOR object IN
        SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || pg_class.oid::regclass AS name,
               relkind <> 'S' AS is_table
        FROM pg_class
        WHERE relnamespace = here AND relkind IN ('r', 'p', 'v', 'm', 'S') AND relname ~ '^(procrastinate|postpone)_'
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', object.name, here_roles);
        IF object.is_table THEN
            EXECUTE format('GRANT SELECT ON %s TO %s', object.name, readers);
        END IF;
    END LOOP;

    -- Few functions run with their owner's rights: two triggers (sql/functions/references.sql), which no statement can call,
    -- those that look what their caller may do (claims.sql, enqueued.sql), and one that makes fetches look (parked.sql). So EXECUTE gives a role no more than what stands
    -- here. Where PUBLIC has it anyway, which is PostgreSQL's default, nothing changes.
    FOR object IN
        SELECT 'FUNCTION ' || oid::regprocedure AS name, 'EXECUTE' AS privilege
        FROM pg_proc
        WHERE pronamespace = here AND prokind = 'f' AND proname ~ '^(procrastinate|postpone)_'
        UNION ALL
        SELECT 'TYPE ' || oid::regtype, 'USAGE'
        FROM pg_type
        WHERE typnamespace = here AND typname ~ '^(procrastinate|postpone)_'
          AND (typtype = 'e' OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c')
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', object.privilege, object.name, here_roles);
    END LOOP;

    FOR allowed IN
        SELECT *
        FROM (VALUES
            -- The worker. Rows that go with a job or a lease are deleted by a trigger or a foreign key, which
            -- takes no privilege. (Locking a lease takes UPDATE.) It writes over an attempt that is decided a second
            -- time, because a person has set the job's attempts back or a rescue had reported it; the
            -- attempt's job and number stay.
            ('postpone_worker', 'INSERT, UPDATE, DELETE', 'procrastinate_jobs'),
            ('postpone_worker', 'INSERT', 'procrastinate_events'),
            ('postpone_worker', 'INSERT, UPDATE (last_heartbeat), DELETE', 'procrastinate_workers'),
            ('postpone_worker', 'INSERT, UPDATE, DELETE', 'procrastinate_periodic_defers'),
            ('postpone_worker', attempts, 'postpone_attempts'),
            ('postpone_worker', 'INSERT', 'postpone_workers'),
            ('postpone_worker', 'INSERT, DELETE', 'postpone_claims'),
            ('postpone_worker', 'UPDATE, DELETE', 'postpone_noted_locks'),
            ('postpone_worker', 'INSERT, UPDATE, DELETE', 'postpone_schedules'),
            ('postpone_worker', 'INSERT, UPDATE (attempt, result, progress_done, progress_total, progress_note, updated_at)',
             'postpone_results'),
            -- The operator. All that may become of a job but its creation; it ends leases of the dead, and gets none, so
            -- that it cannot fetch (postpone_start_jobs asks for INSERT on procrastinate_workers). Neither a job's task and
            -- arguments nor its number are its to change.
            ('postpone_operator', 'UPDATE (queue_name, priority, lock, status, scheduled_at, attempts, abort_requested, '
                                  'worker_id, parked, uncounted_attempts, attempts_allowed), DELETE', 'procrastinate_jobs'),
            ('postpone_operator', 'INSERT', 'procrastinate_events'),
            ('postpone_operator', 'UPDATE (last_heartbeat), DELETE', 'procrastinate_workers'),
            ('postpone_operator', attempts, 'postpone_attempts'),
            ('postpone_operator', 'INSERT, DELETE', 'postpone_claims'),
            ('postpone_operator', 'UPDATE (since, paused_at)', 'postpone_schedules'),
            -- The client. It writes what a new job may bring along and, since the trigger that writes it runs with the client's rights,
            -- the event that belongs to it. Of all jobs it sees the ids and, as ON CONFLICT has to be able to look, their
            -- queueing locks and statuses.
            ('postpone_client', 'SELECT (id, queueing_lock, status), '
                                'INSERT (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, meta)',
             'procrastinate_jobs'),
            ('postpone_client', 'INSERT (job_id, type, at)', 'procrastinate_events')
        ) AS entry (role, privileges, relation)
        WHERE to_regrole(role) IS NOT NULL
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', allowed.privileges, allowed.relation::regclass, allowed.role);
    END LOOP;

    FOR allowed IN
        SELECT role, pg_get_serial_sequence(relation, 'id') AS sequence
        FROM (VALUES ('postpone_worker', 'procrastinate_jobs'), ('postpone_client', 'procrastinate_jobs'),
                     ('postpone_worker', 'procrastinate_events'), ('postpone_client', 'procrastinate_events'),
                     ('postpone_operator', 'procrastinate_events'),
                     ('postpone_worker', 'procrastinate_periodic_defers')) AS entry (role, relation)
        WHERE to_regrole(role) IS NOT NULL
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', allowed.sequence, allowed.role);
    END LOOP;
END
$$;
