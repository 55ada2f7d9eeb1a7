-- Oldest program: 6
--
-- From here on functions and triggers stand in sql/functions/, one body each, and `schema apply` puts all of them in place.
-- Versions 2 to 4 held nothing else; a database that has them keeps its record of them.

-- Older forms, which would stand beside the present ones as overloads.
DROP FUNCTION IF EXISTS postpone_rescue_worker(bigint, jsonb, text, integer, text, bigint[]);
DROP FUNCTION IF EXISTS postpone_take_jobs(varchar[], bigint, integer, boolean);
DROP FUNCTION IF EXISTS postpone_fetch_jobs(varchar[], bigint, integer);
