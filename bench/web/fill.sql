-- A database as it stands after a year: :ended jobs that have ended, :waiting that wait, with their events and attempts.
-- Run by bench/web/pages on a database with Postpone's schema; without the triggers, which would notify of each job.
SET session_replication_role = replica;
SET synchronous_commit = off;
SET jit = off;

INSERT INTO procrastinate_jobs (id, queue_name, task_name, lock, args, status, attempts)
SELECT n, 'queue-' || n % 20, 'task.number_' || n % 50, CASE WHEN n % 10 = 0 THEN 'customer:' || n % 5000 END,
       jsonb_build_object('customer_id', n % 100000, 'kind', 'invoice', 'note', repeat('x', 40)),
       (CASE WHEN n % 100 = 0 THEN 'failed' WHEN n % 1000 = 1 THEN 'cancelled' ELSE 'succeeded' END)::procrastinate_job_status, 1
FROM generate_series(1, :ended) AS n;

INSERT INTO procrastinate_jobs (id, queue_name, task_name, lock, args, status, scheduled_at, parked)
SELECT :ended + n, 'queue-' || n % 20, 'task.number_' || n % 50,
       CASE WHEN n % 20 = 1 THEN 'customer:' || n % 997 END,
       jsonb_build_object('customer_id', n % 100000), 'todo',
       CASE WHEN n % 20 = 2 THEN now() + n % 100000 * interval '1 second' END,
       (CASE n % 20 WHEN 1 THEN 'lock' WHEN 2 THEN 'time' END)::postpone_parking
FROM generate_series(1, :waiting) AS n;

-- Twelve workers, the last one silent, and what they run.
INSERT INTO procrastinate_workers (id, last_heartbeat) OVERRIDING SYSTEM VALUE
SELECT n, CASE WHEN n = 12 THEN now() - interval '5 minutes' ELSE now() + interval '1 day' END FROM generate_series(1, 12) AS n;
INSERT INTO postpone_workers (worker_id, supervisor, host, name, pid, queues)
SELECT n, 'app-' || n % 3 || ':100:1', 'app-' || n % 3, 'default/' || n, 100 + n, '{}' FROM generate_series(1, 12) AS n;
UPDATE procrastinate_jobs SET status = 'doing', worker_id = id - :ended, parked = NULL, lock = 'held:' || id
WHERE id BETWEEN :ended + 1 AND :ended + 12;

INSERT INTO procrastinate_events (job_id, type, at)
SELECT n, type::procrastinate_job_event_type, now() - (:ended - n) * interval '20 ms' + i * interval '1 s'
FROM generate_series(1, :ended) AS n,
     LATERAL (VALUES (1, 'deferred'), (2, 'started'),
                     (3, CASE WHEN n % 100 = 0 THEN 'failed' WHEN n % 1000 = 1 THEN 'cancelled' ELSE 'succeeded' END)) AS e (i, type);
INSERT INTO procrastinate_events (job_id, type, at)
SELECT :ended + n, 'deferred', now() FROM generate_series(1, :waiting) AS n;
INSERT INTO procrastinate_events (job_id, type, at) SELECT :ended + n, 'started', now() FROM generate_series(1, 12) AS n;

INSERT INTO postpone_attempts (job_id, attempt, cause, exception_type, message, stderr_tail, run_time, cpu_time, max_rss,
                               worker_id, worker_name, ended_at)
SELECT n, 1, (CASE WHEN n % 100 = 0 THEN 'exception' ELSE 'succeeded' END)::postpone_cause,
       CASE WHEN n % 100 = 0 THEN 'Timeout' END, CASE WHEN n % 100 = 0 THEN 'no answer to request ' || n END,
       CASE WHEN n % 100 = 0 THEN 'a line' END, 0.1, 0.05, 40000000, 1, 'default/1',
       now() - (:ended - n) * interval '20 ms' + interval '3 s'
FROM generate_series(1, :ended) AS n;

SELECT setval('procrastinate_jobs_id_seq', :ended + :waiting), setval('procrastinate_events_id_seq', (SELECT max(id) FROM procrastinate_events));
VACUUM (ANALYZE) procrastinate_jobs, procrastinate_events, postpone_attempts, procrastinate_workers, postpone_workers;
