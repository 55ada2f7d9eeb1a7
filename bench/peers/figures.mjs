// What the peers' programs measure, in one way for all of them.

// Counts handlers that run. `done`: the jobs a second from the first to the last of them.
export function rateOf(jobs) {
  let count = 0;
  let first;
  let finish;
  const done = new Promise((resolve) => { finish = resolve; });
  const ran = () => {
    const now = performance.now();
    first ??= now;
    if (++count === jobs) finish((jobs - 1) / ((now - first) / 1000));
  };
  return { ran, done };
}

// Measures one after the other, with a pause in which the peer becomes idle again.
export async function latencies(jobs, measure) {
  const times = [];
  for (let i = 0; i < jobs; ++i) {
    times.push(await measure());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return times;
}

export function answer(figures) {
  console.log(JSON.stringify(figures));
}
