// node graphile.mjs throughput plain|best JOBS CONCURRENCY
// node graphile.mjs latency JOBS
//
// Works off waiting no-op jobs, or jobs that come one by one while it is idle, and prints one line of JSON. The
// database is the one that PGHOST, PGDATABASE and the like name. `best`: the local queue and the batched
// completion of graphile-worker's performance page.
import pg from 'pg';
import { Logger, run, runMigrations } from 'graphile-worker';
import { answer, latencies, rateOf } from './figures.mjs';

const [workload, ...rest] = process.argv.slice(2);
const fail = (error) => { console.error(error); process.exit(1); };
const quiet = new Logger(() => () => {});
const pool = new pg.Pool({ max: 14 });
pool.on('error', fail);
pool.on('connect', (client) => client.on('error', fail));
await runMigrations({ pgPool: pool, logger: quiet });

const start = (concurrency, worker, noop) =>
  run({ pgPool: pool, logger: quiet, noHandleSignals: true, taskList: { noop },
        preset: { worker: { concurrentJobs: concurrency, pollInterval: 3_600_000, ...worker } } });

async function throughput(mode, jobs, concurrency) {
  await pool.query(`SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
    SELECT json_populate_record(NULL::graphile_worker.job_spec, '{"identifier": "noop", "payload": {}}')
    FROM generate_series(1, $1::int)))`, [jobs]);
  const best = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
  const rate = rateOf(jobs);
  const runner = await start(concurrency, mode === 'best' ? best : {}, rate.ran);
  const jobsPerSecond = await rate.done;
  await runner.stop();
  return { jobs_per_s: jobsPerSecond };
}

async function latency(jobs) {
  let started;
  const runner = await start(10, {}, () => started(performance.now()));
  const times = await latencies(jobs, async () => {
    const ran = new Promise((resolve) => { started = resolve; });
    await pool.query("SELECT graphile_worker.add_job('noop', '{}')");
    const committed = performance.now();
    return (await ran) - committed;
  });
  await runner.stop();
  return { latencies_ms: times };
}

answer(workload === 'latency' ? await latency(Number(rest[0])) : await throughput(rest[0], Number(rest[1]), Number(rest[2])));
await pool.end();
process.exit(0);
