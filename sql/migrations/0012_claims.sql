-- Oldest program: 7
--
-- Functions that have other parameters now.
DROP FUNCTION IF EXISTS postpone_delete_running_jobs(bigint, jsonb);
