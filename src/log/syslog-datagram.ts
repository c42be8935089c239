import type { DatagramSocket } from "../runtime/types.ts";
import type { Entry } from "./entry.ts";
import { limitBytes } from "./syslog.ts";
import type { Writer } from "./writer.ts";

/** Options of a {@link DatagramWriter}. */
export interface DatagramWriterOptions {
  /** Opens the socket; called again after a failed send, for the receiver may have restarted. */
  readonly open: () => Promise<DatagramSocket>;
  readonly encode: (entry: Entry) => string;
  /** Bytes in one datagram; longer messages are cut. */
  readonly maxBytes: number;
}

/** What is sent when the socket refuses a bigger datagram; RFC 5424 §6.1 asks receivers for it. */
const SAFE_BYTES = 480;

/** One entry, one datagram: unix sockets and UDP. */
export class DatagramWriter implements Writer {
  readonly #options: DatagramWriterOptions;
  readonly #encoder = new TextEncoder();
  #socket: DatagramSocket | null = null;
  #closed = false;

  constructor(options: DatagramWriterOptions) {
    this.#options = options;
  }

  async write(entries: readonly Entry[]): Promise<number> {
    let taken = 0;
    for (const entry of entries) {
      try {
        await this.#send(this.#encoder.encode(this.#options.encode(entry)));
      } catch (error) {
        if (taken === 0) throw error;
        break;
      }
      taken++;
    }
    return taken;
  }

  async #send(message: Uint8Array): Promise<void> {
    const data = limitBytes(message, this.#options.maxBytes);
    try {
      await (await this.#connected()).send(data);
    } catch {
      // Either the receiver has been restarted, or this one message is too big for the socket: a
      // new socket and a small message are right for both, and only one attempt is spent.
      this.#drop();
      const socket = await this.#connected();
      try {
        await socket.send(data);
      } catch (again) {
        if (data.length <= SAFE_BYTES) throw again;
        await socket.send(limitBytes(data, SAFE_BYTES));
      }
    }
  }

  async #connected(): Promise<DatagramSocket> {
    if (this.#socket !== null) return this.#socket;
    const socket = await this.#options.open();
    if (this.#closed) {
      socket.close();
      throw new Error("Cannot write to syslog: the writer is closed; expected it to be open");
    }
    return this.#socket = socket;
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#drop();
    return Promise.resolve();
  }
}
