/** A server over real HTTP to which each user logs in, and says in each answer by whose token it was asked. */

import type { ServerResponse } from "node:http";
import { type Grant, GrantFile } from "../../src/upstream/oauth/grants.ts";
import {
  DISCOVERED,
  error,
  type FakeHttp,
  INITIALIZED,
  json,
  result,
  type Seen,
  serveHttp,
  sse,
} from "./fakes/http-server.ts";
import { type Directory, directory, grantFor, Time } from "./oauth/support.ts";

export type ServiceEra = "legacy" | "modern" | "dual";

const capabilities = { tools: {}, prompts: {}, resources: { subscribe: true, listChanged: true } };

/** What it says that is the same for all. */
const LISTS: Record<string, unknown> = {
  "tools/list": { tools: [{ name: "whose", inputSchema: { type: "object" } }] },
  "prompts/list": { prompts: [{ name: "hello" }] },
};

/** A token goes with the sessions it has opened; with another it is refused, as an unknown one is. */
export class PersonalService implements AsyncDisposable {
  /** Users whose tokens it takes no more. */
  readonly dead = new Set<string>();
  /** Users whose tokens it takes until they are used for this method. */
  readonly fragile = new Map<string, string>();
  /** Users whose rights do not do for this method. */
  readonly lacking = new Map<string, string>();
  /** Users whose first question, of either era, it answers with this status. */
  readonly refused = new Map<string, number>();
  /** What calls and refusals of this user wait for, or a `stream` for messages outside of calls. */
  readonly held = new Map<string, Promise<unknown>>();
  readonly #sessions = new Map<string, string>();
  /** Tokens of users who have been {@link dead}. */
  readonly #over = new Set<string>();

  private constructor(
    readonly place: Directory,
    readonly file: GrantFile,
    readonly name: string,
    readonly time: Time,
    readonly http: FakeHttp,
  ) {}

  /** `name` is what the gateway calls it. */
  static async open(era: ServiceEra, name = "it", time = new Time()): Promise<PersonalService> {
    const place = await directory();
    let service: PersonalService;
    const http = await serveHttp((seen, response) => service.#answer(seen, response, era));
    return service = new PersonalService(place, new GrantFile(place.path), name, time, http);
  }

  get url(): string {
    return `${this.http.url}/mcp`;
  }

  /** As `mcproxy login` writes it. */
  async grant(user: string, principal = user): Promise<void> {
    await this.file.put(this.grantOf(user, principal));
  }

  /** What a login has brought. */
  grantOf(user: string, principal = user): Grant {
    const issuedAt = ++this.time.ms;
    const accessToken = `token-of-${user}-${issuedAt}`;
    const tokens = { accessToken, refreshToken: undefined, issuedAt, loginAt: issuedAt };
    const whose = { server: this.name, url: this.url, principal };
    // Both are on loopback, as it is.
    const by = { issuer: this.http.url, tokenEndpoint: `${this.http.url}/token` };
    return grantFor(this.time, { ...whose, ...by, ...tokens });
  }

  /** The requests of this method, of one user where one is named. */
  asked(method: string, user?: string): readonly Seen[] {
    return this.http.seen.filter((seen) => isOf(seen, method, user));
  }

  /** Resolves when a user has asked this. */
  async until(method: string, user: string): Promise<void> {
    await this.http.until((seen) => isOf(seen, method, user));
  }

  async #answer(seen: Seen, response: ServerResponse, era: ServiceEra): Promise<void> {
    const { method: verb, headers, body } = seen;
    const user = userOf(seen);
    if (verb === "GET") await this.held.get("stream");
    const session = headers["mcp-session-id"];
    const isForeign = typeof session === "string" && this.#sessions.get(session) !== user;
    const { authorization = "" } = headers;
    if (body !== undefined && this.fragile.get(user) === body.method) this.dead.add(user);
    if (this.dead.has(user)) {
      this.#over.add(authorization);
      await this.held.get(user);
    }
    if (user === "" || this.#over.has(authorization) || isForeign) {
      return json(response, 401, {}, { "www-authenticate": 'Bearer resource_metadata="x"' });
    }
    if (verb !== "POST") return json(response, verb === "DELETE" ? 200 : 405, {});
    const { id, method, params } = body;
    const refusal = this.refused.get(user);
    if (refusal !== undefined && ["initialize", "server/discover"].includes(method)) {
      return json(response, refusal, {});
    }
    if (id === undefined) return void response.writeHead(202).end();
    const isModern = headers["mcp-protocol-version"] === "2026-07-28";
    if (isModern ? era === "legacy" : era === "modern") {
      return json(response, 400, error(id, -32601, "not that era"));
    }
    if (this.lacking.get(user) === method) {
      const challenge = 'Bearer error="insufficient_scope", scope="write"';
      return json(response, 403, {}, { "www-authenticate": challenge });
    }
    const type = isModern ? { resultType: "complete" } : {};
    switch (method) {
      case "server/discover":
        return json(response, 200, result(id, { ...DISCOVERED, capabilities }));
      case "initialize": {
        const name = `s-${this.#sessions.size}`;
        this.#sessions.set(name, user);
        const said = { ...INITIALIZED, capabilities };
        return json(response, 200, result(id, said), { "mcp-session-id": name });
      }
      case "subscriptions/listen": {
        const _meta = { "io.modelcontextprotocol/subscriptionId": id };
        const acknowledged = { _meta, notifications: params.notifications };
        const name = "notifications/subscriptions/acknowledged";
        return sse(response)({ jsonrpc: "2.0", method: name, params: acknowledged });
      }
      case "tools/call": {
        await this.held.get(user);
        const text = `${user} ${params.arguments.n ?? ""}`.trim();
        const content = [{ type: "text", text }];
        return json(response, 200, result(id, { ...type, content }));
      }
      case "resources/read": {
        const contents = [{ uri: params.uri, text: `read by ${user}` }];
        // It lies: what it gives one is for nobody else.
        const hints = { ttlMs: 60_000, cacheScope: "public" };
        return json(response, 200, result(id, { ...type, ...hints, contents }));
      }
      default: {
        const known = LISTS[method];
        json(response, 200, known ? result(id, known) : error(id, -32601, "no such method"));
      }
    }
  }

  async [Symbol.asyncDispose]() {
    await this.http.close();
    await this.place[Symbol.asyncDispose]();
  }
}

function userOf({ headers }: Seen): string {
  return /^Bearer token-of-(\w+)-\d+$/.exec(headers.authorization ?? "")?.[1] ?? "";
}

function isOf(seen: Seen, method: string, user: string | undefined): boolean {
  return seen.body?.method === method && (user === undefined || userOf(seen) === user);
}
