-- Oldest program: 7
--
-- Claims: which waiting jobs a sub-worker has taken without a change to their rows (sql/functions/claims.sql).

-- The last row of a worker, by serial, lists all that it has claimed; the one before it is deleted with the same
-- statement. It is not updated in place: under a snapshot that somebody holds for long, a reader would have to walk past
-- all former versions of the list, where it finds the last entry of an index at once.
CREATE TABLE IF NOT EXISTS postpone_claims (
    worker_id bigint REFERENCES procrastinate_workers (id) ON DELETE CASCADE,
    serial bigint GENERATED ALWAYS AS IDENTITY,
    job_ids bigint[] NOT NULL,
    omit_events boolean NOT NULL,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (worker_id, serial)
);

-- Functions that have other parameters or results now.
DROP FUNCTION IF EXISTS postpone_apply_outcomes(bigint, jsonb);
DROP FUNCTION IF EXISTS postpone_delete_running_jobs(bigint, jsonb);
DROP FUNCTION IF EXISTS postpone_fetch_jobs(varchar[], bigint, integer, bigint[], text[], boolean);
DROP FUNCTION IF EXISTS postpone_find_jobs(varchar[], integer, bigint[], text[]);
DROP FUNCTION IF EXISTS postpone_start_jobs(bigint[], bigint, boolean);
DROP FUNCTION IF EXISTS postpone_take_jobs(varchar[], bigint, integer, bigint[], text[], boolean, boolean);
