// node pgboss.mjs throughput plain|best JOBS CONCURRENCY
//
// Works off waiting no-op jobs and prints one line of JSON; see graphile.mjs. `plain`: so many loops that fetch one
// job and complete it, since work() as it comes asks for one job in two seconds. `best`: work() with large batches,
// the next one at once when a batch was full.
import { PgBoss } from 'pg-boss';
import { answer, rateOf } from './figures.mjs';

const [, mode, jobsText, concurrencyText] = process.argv.slice(2);
const [jobs, concurrency] = [Number(jobsText), Number(concurrencyText)];
const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
const boss = new PgBoss({ host, port: Number(port), user, database, max: concurrency + 2, supervise: false, schedule: false });
boss.on('error', (error) => { console.error(error); process.exit(1); });
await boss.start();
await boss.createQueue('noop');
for (let left = jobs; left > 0; left -= 1000)
  await boss.insert('noop', Array.from({ length: Math.min(left, 1000) }, () => ({ data: {} })));

const rate = rateOf(jobs);
if (mode === 'best') {
  await boss.work('noop', { batchSize: 100, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
                  async (batch) => batch.forEach(rate.ran));
} else {
  for (let i = 0; i < concurrency; ++i)
    (async () => {
      for (let found; (found = await boss.fetch('noop')).length > 0;) {
        rate.ran();
        await boss.complete('noop', found[0].id);
      }
    })();
}
answer({ jobs_per_s: await rate.done });
process.exit(0);
