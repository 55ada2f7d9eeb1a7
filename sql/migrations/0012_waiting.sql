-- Oldest program: 7
--
-- Functions that have other parameters or results now.
DROP FUNCTION IF EXISTS postpone_fetch_jobs(varchar[], bigint, integer, bigint[], text[], boolean, boolean, text[]);
DROP FUNCTION IF EXISTS postpone_find_jobs(varchar[], integer, bigint[], text[], text[]);
DROP FUNCTION IF EXISTS postpone_take_jobs(
    varchar[], bigint, integer, bigint[], text[], boolean, boolean, boolean, text[]);
