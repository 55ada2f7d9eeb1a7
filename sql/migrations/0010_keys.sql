-- Oldest program: 7
--
-- Functions that have another parameter now.
DROP FUNCTION IF EXISTS postpone_delete_ended_jobs(bigint, jsonb);
DROP FUNCTION IF EXISTS postpone_start_jobs(bigint[], bigint);
DROP FUNCTION IF EXISTS postpone_take_jobs(varchar[], bigint, integer, bigint[], text[], boolean);
DROP FUNCTION IF EXISTS postpone_fetch_jobs(varchar[], bigint, integer, bigint[], text[]);
