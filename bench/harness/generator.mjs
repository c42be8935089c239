// The load generator, a process of its own on plain Node: raw sockets and prebuilt bytes, so that
// it needs a fraction of the processor time of what it measures. Reads one JSON job a line on
// stdin, answers one JSON line. The same program loads every side of a comparison.
//
// Job: { port, connections: string[][], warmup, duration, latency, every, count }
//   connections[i] are the requests (complete HTTP text) connection i sends in turn, one at a
//   time; warmup and duration in ms. With `every` a connection sends one in so many ms, otherwise
//   as fast as it is answered; with `count` it ends after so many. Answer: { total, counted, seconds, bytes, p50, p90, p99 }.
// Job: { port, clients, steps: string[] }
//   opens so many clients, one connection each: it sends the steps (of which those after the first
//   have `SESSION` where the session's id belongs), waiting for the head of each answer, and is
//   left open after the last one, a GET stream. Answer: { sessions }.
// Job: { close: true } ends them. Answer: { lost }, how many had been ended by the server.

import net from "node:net";
import { createInterface } from "node:readline";

/** Open, and how many of them a server has ended since they were last closed. */
const clients = new Set();
let lost = 0;

for await (const line of createInterface({ input: process.stdin })) {
  try {
    process.stdout.write(JSON.stringify(await run(JSON.parse(line))) + "\n");
  } catch (error) {
    process.stdout.write(JSON.stringify({ error: String(error?.message ?? error) }) + "\n");
  }
}

function run(job) {
  if (job.close) return closeClients();
  return job.clients === undefined ? load(job) : openClients(job);
}

/** Twenty at a time: how many a server takes at once is not what is measured. */
async function openClients({ port, clients: count, steps }) {
  const sessions = [];
  let left = count;
  await Promise.all(Array.from({ length: 20 }, async () => {
    while (left-- > 0) sessions.push(await openClient(port, steps));
  }));
  return { sessions };
}

function openClient(port, steps) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    let next = 0;
    let session = "";
    let text = "";
    const send = () => socket.write(steps[next++].replace("SESSION", session));
    socket.setTimeout(30_000, () => socket.destroy(new Error("a client waited for 30 s")));
    socket.on("error", reject);
    socket.on("close", () => {
      lost += clients.delete(socket) ? 1 : 0;
      reject(new Error("the server closed the connection"));
    });
    socket.on("connect", send);
    socket.on("data", (bytes) => {
      if (next === 0) return; // It is open: what comes now is only read.
      text += bytes.latin1Slice();
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      const head = text.slice(0, end + 2);
      if (!/^HTTP\/1.1 20[02] /.test(head)) {
        return socket.destroy(new Error(`unexpected answer: ${head.slice(0, 300)}`));
      }
      session ||= /\r\nmcp-session-id: *(\S+)\r\n/i.exec(head)?.[1] ?? "";
      if (next < steps.length) {
        const length = Number(/\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        text = "";
        return send();
      }
      next = 0;
      socket.setTimeout(0);
      clients.add(socket);
      resolve(session);
    });
  });
}

function closeClients() {
  const answer = { lost };
  lost = 0;
  for (const socket of clients) {
    clients.delete(socket);
    socket.destroy();
  }
  return answer;
}

async function load({ port, connections, warmup, duration, latency, every, count }) {
  const began = performance.now();
  const window = { from: began + warmup, to: began + warmup + duration };
  const tally = { total: 0, counted: 0, bytes: 0, latencies: latency ? [] : undefined };
  await Promise.all(connections.map((requests, index) => {
    // Spread over the time they have, as clients are that do not know of each other.
    const pace = every && { every, offset: every * index / connections.length };
    return drive(port, requests, window, tally, { pace, count });
  }));
  const sorted = (tally.latencies ?? []).sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return {
    total: tally.total,
    counted: tally.counted,
    seconds: duration / 1000,
    bytes: tally.bytes,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
  };
}

/** One keep-alive connection that sends its next request when the last one is answered. */
function drive(port, texts, window, tally, { pace, count = Infinity }) {
  const requests = texts.map((text) => Buffer.from(text));
  return new Promise((resolve, reject) => {
    let next = 0;
    let sentAt = 0;
    let sent = 0;
    let head = "";
    let left = 0;
    /** Bodies looked at in full: the first answer to each of the requests. */
    let unseen = requests.length;
    let body = [];
    const buffer = Buffer.allocUnsafe(256 * 1024);
    const socket = net.connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer,
        callback: (size) => {
          try {
            take(size);
          } catch (error) {
            socket.destroy();
            reject(error);
          }
          return true;
        },
      },
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed the connection")));
    socket.on("connect", pace ? () => setTimeout(send, pace.offset) : send);

    function send() {
      sentAt = performance.now();
      sent++;
      socket.write(requests[next]);
      next = (next + 1) % requests.length;
    }

    function take(size) {
      for (let at = 0; at < size;) {
        if (left === 0) {
          const before = head.length;
          head += buffer.latin1Slice(at, Math.min(size, at + 4096));
          const end = head.indexOf("\r\n\r\n");
          if (end < 0) return;
          at += end + 4 - before;
          left = bodyLength(head.slice(0, end + 2));
          head = "";
        }
        const part = Math.min(left, size - at);
        if (unseen > 0) body.push(Buffer.from(buffer.subarray(at, at + part)));
        at += part;
        left -= part;
        tally.bytes += part;
        if (left === 0) answered();
      }
    }

    function answered() {
      const now = performance.now();
      tally.total++;
      if (sentAt >= window.from && now <= window.to) {
        tally.counted++;
        tally.latencies?.push(now - sentAt);
      }
      if (unseen > 0) {
        const text = Buffer.concat(body).toString();
        if (JSON.parse(text).result === undefined) {
          throw new Error(`unexpected answer: ${text.slice(0, 300)}`);
        }
        unseen--;
        body = [];
      }
      if (now < window.to && sent < count) {
        return pace ? void setTimeout(send, Math.max(0, sentAt + pace.every - now)) : send();
      }
      socket.removeAllListeners("close");
      socket.destroy();
      resolve();
    }
  });
}

function bodyLength(head) {
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
  if (!head.startsWith("HTTP/1.1 200") || length === undefined || length === "0") {
    throw new Error(`unexpected answer: ${head.slice(0, 300)}`);
  }
  return Number(length);
}
