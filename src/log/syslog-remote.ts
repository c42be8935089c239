/** Syslog servers elsewhere: loaded only where the log goes to one. */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import process from "node:process";
import { attempt } from "../lib/json.ts";
import type { DatagramSocket } from "../runtime/types.ts";
import type { Entry } from "./entry.ts";
import type { Writer } from "./output.ts";
import { limitBytes } from "./syslog.ts";

const encoder = new TextEncoder();

/** Options of a {@link TcpWriter}. */
export interface TcpWriterOptions {
  readonly host: string;
  readonly port: number;
  readonly encode: (entry: Entry) => string;
  /** Bytes in one message; longer ones are cut. */
  readonly maxBytes: number;
  /** Milliseconds a server may take to accept, or to read on. @default 30_000 */
  readonly timeout?: number;
}

/**
 * Syslog over TCP with octet counting (RFC 6587 §3.4.1). It connects when there is something to
 * write. A write fails when the connection does, and the caller offers the batch again, so around a
 * broken connection lines may arrive twice. What the system had taken and the server had not read
 * is lost: the protocol has no receipts.
 */
export class TcpWriter implements Writer {
  #socket: Socket | null = null;

  constructor(private readonly options: TcpWriterOptions) {}

  async write(entries: readonly Entry[]): Promise<number> {
    const socket = this.#socket ?? await this.#connect();
    const frames = entries.map((entry) => this.#frame(entry));
    await this.#settled(socket, "send", (done) => {
      socket.write(Buffer.concat(frames), (error) => done(error ?? undefined));
    });
    return entries.length;
  }

  #frame(entry: Entry): Uint8Array {
    const message = limitBytes(encoder.encode(this.options.encode(entry)), this.options.maxBytes);
    return Buffer.concat([encoder.encode(`${message.length} `), message]);
  }

  async #connect(): Promise<Socket> {
    const { host, port } = this.options;
    const socket = process.getBuiltinModule("node:net").connect({ host, port, keepAlive: true });
    // A log must not keep the process alive; close() waits for it where that is wanted.
    socket.unref();
    socket.on("error", () => {});
    // A server that closes an idle connection is noticed here, before the next line is lost in it.
    // "end" must be acted on too: what the server sends is never read, it just flows away.
    const forget = () => {
      if (this.#socket === socket) this.#socket = null;
      socket.destroy();
    };
    socket.on("end", forget).on("close", forget).resume();
    await this.#settled(socket, "connect", (done) => socket.once("connect", () => done()));
    return this.#socket = socket;
  }

  /** Waits for one step on the socket; the step fails with the socket, or when it takes too long. */
  async #settled(
    socket: Socket,
    action: "connect" | "send",
    start: (done: (error?: Error) => void) => void,
  ): Promise<void> {
    const { host, port, timeout = 30_000 } = this.options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (why: string) =>
      reject(new Error(`Cannot ${action} to syslog "tcp://${host}:${port}": ${why}`));
    const onError = (error: Error) => fail(error.message || String(error));
    const onClose = () => fail("connection closed");
    const timer = setTimeout(() => fail(`no progress in ${timeout} ms`), timeout);
    timer.unref();
    socket.on("error", onError).on("close", onClose);
    start((error) => error === undefined ? resolve() : onError(error));
    try {
      await promise;
    } catch (error) {
      socket.destroy();
      if (this.#socket === socket) this.#socket = null;
      throw error;
    } finally {
      clearTimeout(timer);
      socket.off("error", onError).off("close", onClose);
    }
  }

  close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    socket.end();
    return promise;
  }
}

/**
 * Opens a UDP socket towards a syslog server (RFC 5426). The name is looked up once for each
 * socket, not for each message. Rejects when the name is unknown.
 */
export async function openUdp(host: string, port: number): Promise<DatagramSocket> {
  const { address, family } = await process.getBuiltinModule("node:dns/promises").lookup(host);
  const socket = process.getBuiltinModule("node:dgram").createSocket(
    family === 6 ? "udp6" : "udp4",
  );
  // "Connection refused" by an earlier datagram arrives here, unasked: UDP promises nothing.
  socket.on("error", () => {});
  socket.unref();
  return {
    send(data) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      socket.send(data, port, address, (error) => error ? reject(error) : resolve());
      return promise;
    },
    // It may have been closed before.
    close: () => attempt(() => socket.close()),
  };
}
