// The load generator, a process of its own. Reads one JSON job a line, answers one JSON line.
//
// Job: { target: { port, sse }, pid, clients, warmup, duration, method, params, again }
//   Every client has a session and sends its next request when the last one is answered; times in
//   ms. `again`: a client whose call fails opens another session and goes on.
// Answer: { perSecond, p50, micros, resident, family, gap } or { error }

import { createInterface } from "node:readline";
import { Client } from "./client.mjs";
import { familyOf, processorTimeOf, residentOf } from "./processes.mjs";

const PATIENCE = 10_000;

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(JSON.parse(line)).catch(({ message }) => ({ error: message }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}

async function run({ target, pid, clients, warmup, duration, method, params, again }) {
  const open = [];
  const overdue = (what) =>
    rest(PATIENCE).then(() => Promise.reject(new Error(`${what}: no answer within 10 s`)));
  let state = "warm";
  let answered = 0;
  let last = 0;
  let gap = 0;
  const latencies = [];

  async function drive(index) {
    while (state !== "over") {
      const sent = performance.now();
      try {
        await open[index].request(method, params);
      } catch (error) {
        if (!again) throw error;
        open[index].close();
        open[index] = await Client.open(target).catch(() => open[index]);
        await rest(5);
        continue;
      }
      const now = performance.now();
      answered++;
      if (state !== "counted") continue;
      latencies.push(now - sent);
      gap = Math.max(gap, now - last);
      last = now;
    }
  }

  const connected = Promise.all(
    Array.from({ length: clients }, async () => open.push(await Client.open(target))),
  );
  try {
    await Promise.race([connected, overdue("sessions")]);
    const driven = Promise.all(open.map((_, index) => drive(index)));
    driven.catch(() => {}); // Heard at the races below.
    await Promise.race([driven, rest(warmup)]);
    const mark = () => ({ at: performance.now(), cpu: processorTimeOf(pid), answered });
    const first = mark();
    last = first.at;
    state = "counted";
    let resident = 0;
    for (let part = 0; part < 5; part++) {
      await Promise.race([driven, rest(duration / 5)]);
      resident = Math.max(resident, residentOf(pid));
    }
    const end = mark();
    gap = Math.max(gap, performance.now() - last);
    state = "over";
    const family = familyOf(pid).reduce((total, one) => total + residentOf(one), 0);
    await Promise.race([driven, overdue("the last call")]);
    if (latencies.length === 0) throw new Error("no call was answered in time");
    return {
      perSecond: (end.answered - first.answered) * 1000 / (end.at - first.at),
      p50: latencies.sort((a, b) => a - b)[latencies.length >> 1],
      micros: (end.cpu - first.cpu) * 1000 / (end.answered - first.answered),
      resident,
      family,
      gap,
    };
  } finally {
    state = "over";
    await Promise.all(open.map((client) => client.close()));
  }
}
