-- Oldest program: 7
--
-- Which programs can work on this database. Programs up to version 6 do not ask, and refuse every newer schema.
-- Null in rows that they have written.
ALTER TABLE postpone_migrations ADD COLUMN IF NOT EXISTS oldest_program integer;
