-- What people ask of jobs, in plain columns.
--
-- Each column that is not of the jobs table is a subquery of its own, which no join can replace: it is an index probe for each
-- row that is shown, and nothing at all where the column is not asked for. So a look at one job, or at the latest fifty, reads
-- those alone, and a count reads the jobs table alone, whatever the planner believes of the tables.
-- (BETWEEN says nothing that is not said. But where the events were never counted, as after a restore, the planner takes hundreds
-- for those of one job, and has the query compiled for seconds; with it, few.)
--
-- New columns come at the end: a view that is replaced keeps those that it has.
--
-- cause, message and worker are those of the attempt that ended last; postpone_attempts has one more than the job's `attempts`
-- when a rescue left the job to people, and may have none of it when a person made the job wait again, or a success is not
-- recorded (attempts = "failures"). The result and the progress of an earlier attempt are not shown.
CREATE OR REPLACE VIEW {schema}.postpone_jobs AS
SELECT job.id, job.status, job.task_name AS task, job.queue_name AS queue, job.priority, job.lock, job.queueing_lock, job.args,
       job.meta,
       (SELECT CASE WHEN isfinite(min(event.at)) THEN now() - min(event.at) END
        FROM {schema}.procrastinate_events AS event
        WHERE event.job_id = job.id AND event.job_id BETWEEN job.id AND job.id AND event.type = 'deferred') AS age,
       job.scheduled_at,
       coalesce((SELECT claim.claimed_at FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1),
                (SELECT max(event.at) FROM {schema}.procrastinate_events AS event
                 WHERE event.job_id = job.id AND event.job_id BETWEEN job.id AND job.id AND event.type = 'started')) AS started_at,
       CASE WHEN job.status NOT IN ('todo', 'doing') THEN
           coalesce((SELECT max(event.at) FROM {schema}.procrastinate_events AS event
                     WHERE event.job_id = job.id AND event.job_id BETWEEN job.id AND job.id
                       AND event.type IN ('succeeded', 'failed', 'aborted', 'cancelled')),
                    (SELECT ended.ended_at FROM {schema}.postpone_attempts AS ended
                     WHERE ended.job_id = job.id AND ended.attempt = job.attempts LIMIT 1))
           END AS ended_at,
       job.attempts,
       coalesce((SELECT running.name FROM {schema}.postpone_workers AS running WHERE running.worker_id = job.worker_id LIMIT 1),
                (SELECT ended.worker_name FROM {schema}.postpone_attempts AS ended
                 WHERE ended.job_id = job.id AND ended.attempt <= job.attempts::bigint + 1
                   AND (ended.attempt >= job.attempts OR job.status IN ('todo', 'doing'))
                 ORDER BY ended.attempt DESC LIMIT 1)) AS worker,
       (SELECT ended.cause FROM {schema}.postpone_attempts AS ended
        WHERE ended.job_id = job.id AND ended.attempt <= job.attempts::bigint + 1
          AND (ended.attempt >= job.attempts OR job.status IN ('todo', 'doing'))
        ORDER BY ended.attempt DESC LIMIT 1) AS cause,
       (SELECT ended.message FROM {schema}.postpone_attempts AS ended
        WHERE ended.job_id = job.id AND ended.attempt <= job.attempts::bigint + 1
          AND (ended.attempt >= job.attempts OR job.status IN ('todo', 'doing'))
        ORDER BY ended.attempt DESC LIMIT 1) AS message,
       (SELECT concat_ws(': ', given.progress_done || CASE WHEN given.progress_total > 0
                                                           THEN ' of ' || given.progress_total ELSE '' END,
                         nullif(given.progress_note, ''))
        FROM {schema}.postpone_results AS given
        WHERE given.job_id = job.id AND given.progress_done IS NOT NULL
          AND given.attempt >= job.attempts
          AND (given.attempt > job.attempts OR job.status <> 'doing' AND NOT EXISTS (
                   SELECT FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id AND job.status = 'todo'))
        LIMIT 1) AS progress,
       CASE WHEN job.status = 'succeeded' THEN
           (SELECT given.result FROM {schema}.postpone_results AS given
            WHERE given.job_id = job.id AND given.attempt = job.attempts LIMIT 1)
           END AS result,
       CASE
           WHEN job.status <> 'todo' THEN NULL
           WHEN (SELECT claim.job_id FROM {schema}.postpone_claims AS claim WHERE claim.job_id = job.id LIMIT 1) IS NOT NULL
               THEN 'nothing: a worker has taken it'
           WHEN job.scheduled_at = 'infinity' THEN 'until it is cancelled, or given another time'
           WHEN job.scheduled_at > now() THEN 'scheduled for ' || date_trunc('second', job.scheduled_at)
           ELSE coalesce(
               'behind job ' || (SELECT running.id FROM {schema}.procrastinate_jobs AS running
                                 WHERE running.status = 'doing' AND running.lock = job.lock LIMIT 1)
                   || ' of its lock, which runs',
               'behind job ' || nullif((SELECT elder.id FROM {schema}.procrastinate_jobs AS elder
                                        WHERE elder.status = 'todo' AND elder.lock = job.lock
                                        ORDER BY elder.priority DESC, elder.id LIMIT 1), job.id)
                   || ' of its lock, which waits, too',
               -- Of Python's workers, and of those of earlier versions, nobody knows which queues they serve.
               CASE WHEN NOT EXISTS (
                   SELECT FROM {schema}.procrastinate_workers AS worker
                   LEFT JOIN {schema}.postpone_workers AS ours ON ours.worker_id = worker.id
                   WHERE worker.last_heartbeat > now() - interval '30 seconds'
                     AND (ours.queues IS NULL OR ours.queues = '{}' OR job.queue_name = ANY (ours.queues)))
                   THEN 'no worker serves queue ' || job.queue_name END,
               'waiting for a worker')
           END AS waits_for,
       job.deferred_by
FROM {schema}.procrastinate_jobs AS job;
