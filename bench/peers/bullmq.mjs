// BullMQ on its PostgreSQL backend. `best`: a connection for each job that runs, and jobs that succeeded are removed, as
// the tuning tips of its PostgreSQL page say.
import pg from 'pg';
import { createPostgresBackend, Queue, runMigrations, Worker } from 'bullmq';

export const unsupported = (load) => load.own_locks && 'locks (groups) are part of its commercial edition only';

export async function open(mode, load, handle) {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
  const migrating = new pg.Client();
  await migrating.connect();
  await runMigrations(migrating);
  await migrating.end();

  const fail = (error) => { console.error(error); process.exit(1); };
  const best = mode === 'best' ? { max: load.concurrency + 2 } : {};
  const connection = { host, port: Number(port), user, database, ...best };
  const options = mode === 'best' ? { removeOnComplete: true } : {};
  const queue = new Queue('job', { connection }, createPostgresBackend);
  queue.on('error', fail);
  await queue.waitUntilReady();
  return {
    add: ({ ms }) => queue.add('job', { ms }, options),
    addAll: (jobs) => queue.addBulk(jobs.map(({ ms }) => ({ name: 'job', data: { ms }, opts: options }))),
    work: async () => {
      const worker = new Worker('job', ({ data }) => handle(data.ms), { connection, concurrency: load.concurrency }, createPostgresBackend);
      worker.on('error', fail);
      await worker.waitUntilReady();
    },
  };
}
