import process from "node:process";
import { Inbox } from "../inbox.ts";
import { startProcess, type TestProcess } from "../process.ts";
import type { Client, RequestOptions } from "./http.ts";
import { isResponseTo, notificationText, type Received, received, requestText } from "./message.ts";

/** A client that owns a server process and talks over its stdin and stdout. */
export class StdioClient implements Client {
  #nextId = 1;
  /** Every line of stdout; what is no JSON has `json: undefined`. */
  readonly messages: Inbox<Received>;
  /** `initialize`'s result as it came. */
  initialized: Received | undefined;

  private constructor(readonly process: TestProcess) {
    this.messages = new Inbox("stdout of the server");
    process.stdout.follow(
      (line) => this.messages.push(received(line)),
      (reason) => this.messages.end(reason),
    );
  }

  /** Starts the process, says nothing yet. */
  static async spawn(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): Promise<StdioClient> {
    return new StdioClient(await startProcess(command, args, { env }));
  }

  /** Says `initialize` and `initialized`. */
  async initialize(version = "2025-11-25", capabilities: unknown = {}): Promise<Received> {
    const clientInfo = { name: "raw-stdio", version: "1" };
    const params = { protocolVersion: version, capabilities, clientInfo };
    this.initialized = await this.request("initialize", params);
    this.send(notificationText("notifications/initialized"));
    return this.initialized;
  }

  /** Writes one line. */
  send(text: string): void {
    this.process.write(`${text}\n`);
  }

  async request(
    method: string,
    params?: unknown,
    { id = this.#nextId++, within }: RequestOptions = {},
  ): Promise<Received> {
    const from = this.messages.items.length;
    this.send(requestText(id, method, params));
    const options = within === undefined ? { from } : { from, within };
    return await this.messages.waitFor(isResponseTo(id), options);
  }

  /** Ends stdin, as a client that goes away, and waits for the exit. */
  close(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    this.process.endInput();
    return this.process.exited;
  }
}
