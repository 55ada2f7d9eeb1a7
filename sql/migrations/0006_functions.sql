-- From here on functions and triggers stand in sql/functions/, one body each, and `schema apply` puts all of them in place.
-- Versions 2 to 4 held nothing else; a database that has them keeps its record of them.

-- An older form, which would stand beside the present one as an overload.
DROP FUNCTION IF EXISTS postpone_rescue_worker(bigint, jsonb, text, integer, text, bigint[]);
