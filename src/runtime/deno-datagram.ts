/** Unix datagrams on Deno (`--unstable-net`). */

import { stat, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatagramSocket } from "./types.ts";

interface Datagram {
  readonly data: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * {@link Runtime.openDatagram} on Deno. `path` is a file, or an abstract address written with a
 * leading `@` (as in `NOTIFY_SOCKET`) or NUL. Rejects with the system's code where the file is
 * missing or no socket; the receiver itself may come and go, each datagram finds it anew.
 */
export async function openDatagram(path: string): Promise<DatagramSocket> {
  const abstract = path.startsWith("@") || path.startsWith("\0");
  if (!abstract && !(await stat(path)).isSocket()) {
    const message = `Cannot send datagrams to "${path}": it is no socket; expected a unix socket`;
    throw Object.assign(new Error(message), { code: "ENOTSOCK" });
  }
  const target = abstract ? `\0${path.slice(1)}` : path;
  return new DenoDatagramSocket(await bindLocal(), target);
}

/** Deno can only send from a bound socket, so it needs an address nobody will ever use. */
async function bindLocal(): Promise<Deno.DatagramConn> {
  if (Deno.build.os === "linux") {
    // An empty path is the kernel's autobind: an abstract address, and no file to leave behind.
    return Deno.listenDatagram({ transport: "unixpacket", path: "" });
  }
  const path = join(tmpdir(), `mcproxy-${crypto.randomUUID().slice(0, 8)}.sock`);
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  await unlink(path);
  return socket;
}

/** Sends one datagram at a time: a second send in flight is `Busy` on Deno. */
class DenoDatagramSocket implements DatagramSocket {
  readonly #socket: Deno.DatagramConn;
  readonly #target: Deno.UnixAddr;
  readonly #queue: Datagram[] = [];
  #sending = false;
  #closed = false;

  constructor(socket: Deno.DatagramConn, target: string) {
    this.#socket = socket;
    this.#target = { transport: "unixpacket", path: target };
  }

  send(data: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError());
    return new Promise((resolve, reject) => {
      this.#queue.push({ data, resolve, reject });
      if (!this.#sending) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#sending = true;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        await this.#socket.send(next.data, this.#target);
        next.resolve();
      } catch (error) {
        next.reject(error);
      }
      this.#queue.shift();
    }
    this.#sending = false;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    // A send to a receiver whose queue is full outlives the close, so it is settled here.
    const error = this.#closedError();
    for (const waiting of this.#queue.splice(0)) waiting.reject(error);
  }

  #closedError(): Error {
    const to = this.#target.path.replace("\0", "@");
    return new Error(`Cannot send to "${to}": the socket is closed; expected an open one`);
  }
}
