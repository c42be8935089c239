import { type Client, HttpClient } from "../support/clients/http.ts";
import { isResponseTo } from "../support/clients/message.ts";
import { ModernClient } from "../support/clients/modern.ts";
import { SseClient } from "../support/clients/old-sse.ts";

/** What became of the requests of a {@link Load}. */
export interface Tally {
  sent: number;
  answered: number;
  /** Words of what went wrong. */
  readonly failures: string[];
}

/** Clients of all kinds that call tools one after the other until they are told to stop. */
export class Load {
  readonly tally: Tally = { sent: 0, answered: 0, failures: [] };
  readonly #loops: Promise<void>[] = [];
  readonly #ends: (() => void)[] = [];
  #stopped = false;

  /** Starts `each` clients of every kind; each calls one of `tools` after the other. */
  static async start(base: string, tools: readonly string[], each: number): Promise<Load> {
    const load = new Load();
    for (let at = 0; at < each; at++) {
      const sse = await SseClient.connect(`${base}/sse`);
      load.#ends.push(() => sse.close());
      const clients: readonly Client[] = [
        await HttpClient.connect(`${base}/mcp`),
        new ModernClient(`${base}/mcp`),
        sse,
      ];
      for (const [kind, client] of clients.entries()) {
        load.#loops.push(load.#run(client, tools, `${at}.${kind}`));
      }
    }
    return load;
  }

  /** Lets every request that is under way come back, and ends the clients. */
  async stop(): Promise<Tally> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    for (const end of this.#ends) end();
    return this.tally;
  }

  async #run(client: Client, tools: readonly string[], who: string): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      const name = tools[count % tools.length]!;
      const mark = `${who} ${count}`;
      this.tally.sent++;
      try {
        const { json } = await client.request("tools/call", { name, arguments: { mark } });
        this.tally.answered++;
        const text = json.result?.content?.[0]?.text;
        if (text === undefined || JSON.parse(text).mark !== mark) {
          this.tally.failures.push(`${name} ${mark}: ${JSON.stringify(json).slice(0, 300)}`);
        }
      } catch (error) {
        this.tally.failures.push(`${name} ${mark}: ${error}`);
      }
    }
  }
}

/** A request whose answer may be anything, but has to come, and once. */
export async function answeredOnce(client: HttpClient, name: string, id: string): Promise<string> {
  const answer = await client.start("tools/call", { name, arguments: {} }, id);
  const { text } = await answer.messages.waitFor(isResponseTo(id));
  await answer.messages.waitForEnd();
  const count = answer.messages.items.filter(isResponseTo(id)).length;
  if (count !== 1) throw new Error(`${name} ${id} was answered ${count} times`);
  return text;
}
