// graphile-worker. `best`: the local queue and the batched completion of its performance page.
import pg from 'pg';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';

export const unsupported = () => undefined;

export async function open(mode, load, handle) {
  const fail = (error) => { console.error(error); process.exit(1); };
  const logger = new Logger(() => () => {});
  const pgPool = new pg.Pool({ max: load.concurrency + 4 });
  pgPool.on('error', fail);
  pgPool.on('connect', (client) => client.on('error', fail));
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();

  // A named queue is what it calls a lock: its jobs run one at a time, in order.
  const spec = ({ ms, lock }) => ({ identifier: 'job', payload: { ms }, ...(lock ? { queueName: lock } : {}) });
  const best = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
  return {
    add: (job) => utils.addJob('job', spec(job).payload, { queueName: spec(job).queueName }),
    addAll: (jobs) => utils.addJobs(jobs.map(spec)),
    work: () => run({
      pgPool, logger, noHandleSignals: true, taskList: { job: ({ ms }) => handle(ms) },
      preset: { worker: { concurrentJobs: load.concurrency, pollInterval: 3_600_000, ...(mode === 'best' ? best : {}) } },
    }),
  };
}
