// The load generator, a process of its own on plain Node: raw sockets and prebuilt bytes, so that
// it needs a fraction of the processor time of what it measures. Reads one JSON job a line on
// stdin, answers one JSON line. The same program loads every side of a comparison.
//
// Job: { port, connections: string[][], warmup, duration, latency }
//   connections[i] are the requests (complete HTTP text) connection i sends in turn, one at a
//   time; warmup and duration in ms. Answer: { total, counted, seconds, bytes, p50, p90, p99 }.

import net from "node:net";
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  try {
    process.stdout.write(JSON.stringify(await run(JSON.parse(line))) + "\n");
  } catch (error) {
    process.stdout.write(JSON.stringify({ error: String(error?.message ?? error) }) + "\n");
  }
}

async function run({ port, connections, warmup, duration, latency }) {
  const began = performance.now();
  const window = { from: began + warmup, to: began + warmup + duration };
  const tally = { total: 0, counted: 0, bytes: 0, latencies: latency ? [] : undefined };
  await Promise.all(connections.map((requests) => drive(port, requests, window, tally)));
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
function drive(port, texts, window, tally) {
  const requests = texts.map((text) => Buffer.from(text));
  return new Promise((resolve, reject) => {
    let next = 0;
    let sentAt = 0;
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
    socket.on("connect", send);

    function send() {
      sentAt = performance.now();
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
      if (now < window.to) return send();
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
