-- Oldest program: 7
--
-- Functions that have other parameters or results now.

-- What a job may bring along beside its arguments: an object, or null. Its size is bounded by a trigger
-- (sql/functions/defer.sql): another CHECK on this table would keep jobs from being claimed (sql/functions/claims.sql).
ALTER TABLE procrastinate_jobs ADD COLUMN IF NOT EXISTS meta jsonb;
-- Its successor takes more parameters, which have defaults.
DROP FUNCTION IF EXISTS postpone_defer(text, jsonb, text, integer, text, text, timestamptz);
