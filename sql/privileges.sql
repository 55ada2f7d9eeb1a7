-- Ownership and privileges. Runs at the end of every `postpone schema apply`, also of one that has nothing
-- else to do: roles come and go without migrations. Changes only what has to change, and only what the caller
-- may change.

-- Gives what was created beside the jobs table to the owner of that table: a superuser may have applied the
-- schema for another role, which must be able to apply it alone from then on.
DO $$
DECLARE
    keeper oid := (SELECT relowner FROM pg_class WHERE oid = 'procrastinate_jobs'::regclass);
    here oid := (SELECT relnamespace FROM pg_class WHERE oid = 'procrastinate_jobs'::regclass);
    me oid := current_user::regrole;
    as_keeper text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    is_superuser boolean := (SELECT rolsuper FROM pg_roles WHERE oid = me);
    object text;
BEGIN
    IF me = keeper AND NOT is_superuser OR NOT pg_has_role(me, keeper, as_keeper)
        OR NOT (is_superuser OR has_schema_privilege(keeper, here, 'CREATE'))
    THEN
        RETURN;
    END IF;
    FOR object IN
        SELECT format('TABLE %I', relname)
        FROM pg_class
        WHERE relnamespace = here AND me <> keeper AND relowner = me AND relkind IN ('r', 'v')
          AND relname ~ '^(procrastinate|postpone)_'
        UNION ALL
        SELECT 'FUNCTION ' || oid::regprocedure
        FROM pg_proc
        WHERE pronamespace = here AND proname ~ '^(procrastinate|postpone)_'
          -- A function that runs with the rights of its owner must not have other rights than the tables' owner.
          AND (me <> keeper AND proowner = me OR is_superuser AND prosecdef AND proowner <> keeper)
        UNION ALL
        SELECT format('TYPE %I', typname)
        FROM pg_type
        WHERE typnamespace = here AND me <> keeper AND typowner = me AND typname ~ '^(procrastinate|postpone)_'
          AND (typtype = 'e' OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c')
    LOOP
        EXECUTE format('ALTER %s OWNER TO %I', object, pg_get_userbyid(keeper));
    END LOOP;
END
$$;

-- Each role that holds a privilege on the jobs table, its owner first of all, gets the same on what belongs
-- to that table. Not the roles of roles.sql: their privileges stand there, one by one.
DO $$
DECLARE
    allowed record;
BEGIN
    FOR allowed IN
        SELECT part.relname AS part, privilege_type AS privilege, role.name AS grantee
        FROM pg_class AS jobs
        CROSS JOIN aclexplode(coalesce(jobs.relacl, acldefault('r', jobs.relowner))) AS acl
        CROSS JOIN LATERAL (
            SELECT CASE acl.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(acl.grantee) END) AS role (name)
        JOIN pg_class AS part ON part.oid IN (
            'postpone_attempts'::regclass, 'postpone_workers'::regclass, 'postpone_claims'::regclass, 'postpone_noted_locks'::regclass,
            'postpone_schedules'::regclass, 'postpone_results'::regclass)
            -- Reading: what is written through a view is not what it shows.
            OR part.oid = 'postpone_jobs'::regclass AND acl.privilege_type = 'SELECT'
        WHERE jobs.oid = 'procrastinate_jobs'::regclass AND pg_has_role(part.relowner, 'USAGE')
          AND role.name NOT IN ('postpone_worker', 'postpone_client', 'postpone_monitor', 'postpone_operator')
          -- Policies of the application on its jobs do not count here: to who runs no jobs, theirs are not shown past them.
          AND NOT (jobs.relrowsecurity AND part.relname IN ('postpone_results', 'postpone_jobs')
                   AND NOT has_table_privilege(role.name, 'procrastinate_workers', 'INSERT'))
          AND NOT has_table_privilege(role.name, part.oid, acl.privilege_type)
    LOOP
        EXECUTE format('GRANT %s ON %I TO %I', allowed.privilege, allowed.part, allowed.grantee);
    END LOOP;
END
$$;

-- Who was granted columns of the jobs table one by one: what reads or changes the lock of a job looks at, or changes, whether it is
-- parked.
DO $$
DECLARE
    allowed record;
BEGIN
    FOR allowed IN
        SELECT DISTINCT acl.privilege_type AS privilege,
               CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS grantee
        FROM pg_class AS jobs
        JOIN pg_attribute AS granted ON granted.attrelid = jobs.oid
        CROSS JOIN aclexplode(granted.attacl) AS acl
        JOIN pg_attribute AS parked ON parked.attrelid = jobs.oid AND parked.attname = 'parked'
        WHERE jobs.oid = 'procrastinate_jobs'::regclass AND pg_has_role(jobs.relowner, 'USAGE')
          AND (acl.privilege_type = 'SELECT' AND granted.attname = 'lock'
               OR acl.privilege_type = 'UPDATE' AND granted.attname IN ('status', 'lock', 'priority', 'scheduled_at'))
          AND NOT EXISTS (SELECT FROM aclexplode(parked.attacl) AS has
                          WHERE has.grantee = acl.grantee AND has.privilege_type = acl.privilege_type)
    LOOP
        EXECUTE format('GRANT %s (parked) ON procrastinate_jobs TO %s', allowed.privilege, allowed.grantee);
    END LOOP;
END
$$;
