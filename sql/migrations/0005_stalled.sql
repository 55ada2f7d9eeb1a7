-- Oldest program: 5
--
-- What stalled jobs need: jobs in `doing` whose worker is gone or silent.

-- Written by postpone_finish_by_hand.
ALTER TYPE postpone_cause ADD VALUE IF NOT EXISTS 'finished_by_hand';

-- Jobs whose worker is gone. A job that is run never has an entry here, so looking costs nothing.
CREATE INDEX IF NOT EXISTS postpone_jobs_orphaned_idx
    ON procrastinate_jobs (id) WHERE status = 'doing' AND worker_id IS NULL;
