-- Oldest program: 7
--
-- Claims: which waiting jobs a sub-worker has taken without a change to their rows (sql/functions/claims.sql).

-- No foreign keys: each would look for a row, and lock it, for every job. Triggers keep what they would promise
-- (references.sql, claims.sql). Worker 0 is none: it stands there within transactions only.
CREATE TABLE IF NOT EXISTS postpone_claims (
    job_id bigint PRIMARY KEY,
    worker_id bigint NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    omit_events boolean NOT NULL DEFAULT false
);

-- For the end of a lease, and for outcomes that are no plain successes.
CREATE INDEX IF NOT EXISTS postpone_claims_worker_id_idx ON postpone_claims (worker_id);

-- Whoever fetches has to look there, Python's workers too, whatever they were granted and when. There is nothing in it to
-- hide.
GRANT SELECT ON postpone_claims TO PUBLIC;

-- Functions that have other parameters or results now.
DROP FUNCTION IF EXISTS postpone_delete_running_jobs(bigint, jsonb);
DROP FUNCTION IF EXISTS postpone_fetch_jobs(varchar[], bigint, integer, bigint[], text[], boolean);
DROP FUNCTION IF EXISTS postpone_find_jobs(varchar[], integer, bigint[], text[]);
DROP FUNCTION IF EXISTS postpone_start_jobs(bigint[], bigint, boolean);
DROP FUNCTION IF EXISTS postpone_take_jobs(varchar[], bigint, integer, bigint[], text[], boolean, boolean);
