// node run.mjs PEER MODE LOAD
//
// Gives one queue one load and prints one line of JSON. PEER is the name of a file beside this one, MODE `plain` (as it
// comes) or `best` (its best documented configuration), LOAD a JSON object with the fields of Load in bench/compare/load.h.
// The database is the one that PGHOST, PGDATABASE and the like name.
//
// A peer's file exports open(mode, load, handle), which makes the tables and answers
//
//     add(job)      defers one job, committed when it resolves
//     addAll(jobs)  defers all of them, in one call if the peer can
//     work()        starts a worker that calls `handle` for each job with the job's milliseconds
//
// and unsupported(load), which says in one sentence why a peer cannot do this, if so. A job is {ms, lock}.
import { readFileSync } from 'node:fs';

const [peer, mode, loadText] = process.argv.slice(2);
const load = JSON.parse(loadText);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const cpuMicroseconds = (since) => { const used = process.cpuUsage(since); return used.user + used.system; };

const job = (i) => {
  const isLong = load.long_every > 0 && i % load.long_every === 0;
  return { ms: isLong ? load.long_ms : load.ms, lock: load.own_locks ? `lock ${i}` : null };
};
const jobs = () => Array.from({ length: load.jobs }, (_, i) => job(i));

// Memory that goes when the process goes.
function privateMib() {
  const kib = [...readFileSync('/proc/self/smaps_rollup', 'utf8').matchAll(/^Private_\w+:\s+(\d+)/gm)];
  return kib.reduce((sum, [, number]) => sum + Number(number), 0) / 1024;
}

const loads = {
  // Jobs that wait when the worker starts: from the first handler's beginning to the last one's end.
  async backlog(open) {
    let first, finish, ended = 0;
    const done = new Promise((resolve) => { finish = resolve; });
    const queue = await open(async (ms) => {
      first ??= performance.now();
      if (ms > 0) await pause(ms);
      if (++ended === load.jobs) finish(performance.now());
    });
    await queue.addAll(jobs());
    const before = process.cpuUsage();
    await queue.work();
    const last = await done;
    return { jobs_per_s: load.jobs / ((last - first) / 1000), cpu_us_per_job: cpuMicroseconds(before) / load.jobs };
  },

  // Jobs that come one by one to an idle worker: from the answer to the defer to the handler's beginning.
  async arrivals(open) {
    let started;
    const queue = await open(async () => started(performance.now()));
    await queue.work();
    await pause(500);
    const times = [];
    for (let i = 0; i < load.jobs; ++i) {
      const ran = new Promise((resolve) => { started = resolve; });
      await queue.add(job(i));
      const committed = performance.now();
      times.push((await ran) - committed);
      await pause(20);
    }
    return { latencies_ms: times };
  },

  async defers(open) {
    const queue = await open(async () => {});
    const begin = performance.now();
    for (let i = 0; i < load.jobs; ++i) await queue.add(job(i));
    return { jobs_per_s: load.jobs / ((performance.now() - begin) / 1000) };
  },

  async batch(open) {
    const queue = await open(async () => {});
    const all = jobs();
    const begin = performance.now();
    await queue.addAll(all);
    return { jobs_per_s: load.jobs / ((performance.now() - begin) / 1000) };
  },

  // A worker that has nothing to do. Start-up is not rest.
  async rest(open) {
    const queue = await open(async () => {});
    await queue.work();
    await pause(2000);
    const before = process.cpuUsage();
    await pause(load.seconds * 1000);
    return { cpu_percent: cpuMicroseconds(before) / (load.seconds * 1e4), private_mib: privateMib() };
  },
};

const { open, unsupported } = await import(`./${peer}.mjs`);
const why = unsupported(load);
const answer = why ? { unsupported: why } : await loads[load.kind]((handle) => open(mode, load, handle));
console.log(JSON.stringify(answer));
process.exit(0);
