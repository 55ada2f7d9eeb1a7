// pg-boss. `plain`: for waiting jobs, so many loops that fetch one job and complete it, since work() as it comes asks for
// one job in two seconds; for jobs that come, work() as it comes. `best`: large batches, the next one at once when a
// batch was full, and notifications. A batch's jobs run one after the other, so jobs that take time need a worker each.
import { PgBoss } from 'pg-boss';

export const unsupported = (load) => load.own_locks && 'it has no lock that runs jobs one at a time, in order';

export async function open(mode, load, handle) {
  const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
  const isBest = mode === 'best';
  const boss = new PgBoss({
    host, port: Number(port), user, database, max: load.concurrency + 2, supervise: false, schedule: false,
    useListenNotify: isBest,
  });
  boss.on('error', (error) => { console.error(error); process.exit(1); });
  await boss.start();
  await boss.createQueue('job', { notify: isBest });

  const loop = async () => {
    for (let found; (found = await boss.fetch('job')).length > 0;) {
      await handle(found[0].data.ms);
      await boss.complete('job', found[0].id);
    }
  };
  const handleAll = async (batch) => { for (const { data } of batch) await handle(data.ms); };
  const takesTime = load.ms > 0 || load.long_every > 0;
  const best = { batchSize: takesTime ? 10 : 100, localConcurrency: takesTime ? load.concurrency : 1, burstWhenBatchFull: true };
  return {
    add: ({ ms }) => boss.send('job', { ms }),
    addAll: (jobs) => boss.insert('job', jobs.map(({ ms }) => ({ data: { ms } }))),
    work: async () => {
      if (isBest) return boss.work('job', { pollingIntervalSeconds: 0.5, ...best }, handleAll);
      if (load.kind !== 'backlog') return boss.work('job', handleAll);
      for (let i = 0; i < load.concurrency; ++i) loop();
    },
  };
}
