-- What stands in the schema $1 under our names, one object a row, described in words. sql/objects.txt is what this
-- gives right after `postpone schema apply`.
WITH tables AS (
    SELECT oid, relname
    FROM pg_class
    WHERE relnamespace = quote_ident($1)::regnamespace AND relkind = 'r'
      AND relname ~ '^(procrastinate|postpone)_'
)
SELECT description
FROM (
    SELECT 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod)
           -- A job that lacks one of these can neither be run nor listed.
           || CASE WHEN relname = 'procrastinate_jobs' AND attname <> 'id'
                   THEN CASE WHEN attnotnull THEN ' not null' ELSE '' END
                        || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
                   ELSE '' END
    FROM tables JOIN pg_attribute ON attrelid = tables.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT CASE WHEN indisunique THEN 'unique index ' ELSE 'index ' END || pg_class.relname
           -- Unique among some of the rows: correctness rests on which.
           || CASE WHEN indisunique AND indpred IS NOT NULL
                   THEN ' ' || split_part(pg_get_indexdef(indexrelid, 0, true), ' USING ', 2) ELSE '' END
    FROM tables JOIN pg_index ON indrelid = tables.oid JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indisvalid
    UNION ALL
    SELECT 'constraint ' || conname
    FROM tables JOIN pg_constraint ON conrelid = tables.oid
    WHERE contype = 'c'
    UNION ALL
    SELECT relname || ': ' || pg_get_constraintdef(pg_constraint.oid)
    FROM tables JOIN pg_constraint ON conrelid = tables.oid
    WHERE contype = 'f'
    UNION ALL
    SELECT 'trigger ' || tgname || ' on ' || relname || ': '
           || coalesce(substring(pg_get_triggerdef(pg_trigger.oid, true)
                                 FROM '^CREATE (?:CONSTRAINT )?TRIGGER (?:"(?:[^"]|"")*"|\S+) (.*)'), '')
    FROM tables JOIN pg_trigger ON tgrelid = tables.oid
    WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')
    UNION ALL
    SELECT 'function ' || proname || '(' || pg_get_function_arguments(pg_proc.oid) || ') returns '
           || pg_get_function_result(pg_proc.oid)
    FROM pg_proc
    WHERE pronamespace = quote_ident($1)::regnamespace AND proname ~ '^(procrastinate|postpone)_'
    UNION ALL
    SELECT 'view ' || relname || ' (' || string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
           || ')'
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = quote_ident($1)::regnamespace AND relkind = 'v' AND relname ~ '^postpone_'
      AND attnum > 0 AND NOT attisdropped
    GROUP BY relname
    UNION ALL
    SELECT 'label ' || typname || '.' || enumlabel
    FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid
    WHERE typnamespace = quote_ident($1)::regnamespace AND typname ~ '^(procrastinate|postpone)_'
    UNION ALL
    SELECT 'type ' || typname || ' ('
           || string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) || ')'
    FROM pg_type JOIN pg_attribute ON attrelid = typrelid
    WHERE typnamespace = quote_ident($1)::regnamespace AND typname = 'procrastinate_job_to_defer_v1'
    GROUP BY typname
) AS object (description)
ORDER BY description COLLATE "C"
