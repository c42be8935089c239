import { CliError, ExitCode } from "../app/io.ts";
import { costsOf, type GateCost } from "../gating/gate.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { systemClock } from "../lib/time.ts";
import type { Tokenizer } from "../lib/tokens.ts";
import { VERSION } from "../lib/version.ts";
import { LATEST_MODERN_VERSION, MetaKey } from "../protocol/eras.ts";
import { RpcError } from "../protocol/errors.ts";
import { LIST_RULES, type ListKind, listRule } from "../protocol/lists.ts";
import { request, type ResponseMessage } from "../protocol/message.ts";
import { toolTokens } from "../registry/source.ts";
import { HttpStatusError, NetworkError } from "../upstream/transport/failures.ts";
import { HttpClient } from "../upstream/transport/http-client.ts";
import { StreamableHttpTransport } from "../upstream/transport/http.ts";
import type { Caller, CallerOptions } from "./command.ts";
import {
  costIn,
  eachKind,
  itemsIn,
  matchOffers,
  NOTHING,
  type ParsedLists,
  type ServerOffer,
  type ViewCost,
  viewCost,
} from "./offers.ts";
import { type GatewayUrls, gatewayUrls } from "./urls.ts";

/** How long a status may take, milliseconds. */
const STATUS_TIMEOUT = 10_000;
/** Pages of one list; the gateway itself sends one. */
const MAX_PAGES = 1_000;

/** What of `/api/status` the commands read; a newer or older gateway may say more or less. */
export interface RemoteServer {
  readonly name: string;
  readonly state: string;
  readonly transport: string;
  readonly error: string | null;
  readonly raw: JsonObject;
}

/** What the gateway has said about itself. */
export interface RemoteAnswer {
  /** Whether the HTTP status was one of success. */
  readonly ok: boolean;
  readonly raw: string;
  readonly body: JsonObject;
}

/** A gateway that runs elsewhere, asked in the modern era: no session is left behind. */
export class RemoteCaller implements Caller {
  readonly #urls: GatewayUrls;
  readonly #closing = new AbortController();
  #id = 0;

  /** @throws {UsageError} for what is no URL */
  constructor(url: string | undefined, env: Readonly<Record<string, string | undefined>> = {}) {
    this.#urls = gatewayUrls(url, env);
  }

  /** The status as text and parsed. @throws {CliError} where it cannot be had */
  status(): Promise<RemoteAnswer> {
    const isStatus = ({ ok, body }: RemoteAnswer) => ok && Array.isArray(body.servers);
    return this.#ask(this.#urls.status, "its status", isStatus);
  }

  /** What `/health` says, well or not. @throws {CliError} where it says nothing */
  health(): Promise<RemoteAnswer> {
    const isHealth = ({ body }: RemoteAnswer) => typeof body.status === "string";
    return this.#ask(this.#urls.health, "its health", isHealth);
  }

  async #ask(
    url: string,
    what: string,
    expected: (answer: RemoteAnswer) => boolean,
  ): Promise<RemoteAnswer> {
    const http = new HttpClient("gateway", { kind: "http", url, transport: "http", headers: {} });
    const signal = AbortSignal.any([
      this.#closing.signal,
      AbortSignal.timeout(STATUS_TIMEOUT),
    ]);
    try {
      const headers = { accept: "application/json" };
      const response = await http.send({ method: "GET", headers, signal, what });
      const raw = await http.text(response, what);
      const body = parseObject(raw);
      const answer = body === undefined ? undefined : { ok: response.ok, raw, body };
      if (answer === undefined || !expected(answer)) {
        throw notAGateway(this.#urls.label, response.status);
      }
      return answer;
    } catch (error) {
      throw this.#explain(error, signal);
    }
  }

  /** The servers of the status. @throws {CliError} as {@link RemoteCaller.status} */
  async servers(): Promise<readonly RemoteServer[]> {
    const { body } = await this.status();
    return serversIn(body);
  }

  async offers({ count }: Tokenizer): Promise<readonly ServerOffer[]> {
    const servers = await this.servers();
    const [tools, aggregate, ...direct] = await Promise.all([
      this.#allTools(),
      this.#lists(this.#urls.aggregate, { tools: 0 }),
      ...servers.map(async ({ name, raw }) => ({
        server: name,
        lists: await this.#lists(this.#urls.server(name), raw.counts),
      })),
    ]);
    const offers = matchOffers(direct, { ...aggregate, tools }, count);
    return servers.map(({ name, state, transport, error }, at) => ({
      name,
      state,
      transport,
      error,
      ...(offers[at] ?? NOTHING),
    }));
  }

  async views(tokenizer: Tokenizer): Promise<readonly ViewCost[]> {
    const { body } = await this.status();
    const profiles = Array.isArray(body.profiles) ? body.profiles.filter(isObject) : [];
    const views = [{ name: undefined, gating: body.gating }, ...profiles];
    const costs = await Promise.all(views.map(async ({ name, gating }) => {
      const profile = typeof name === "string" ? name : undefined;
      const estimated = costIn(gating);
      if (estimated === undefined || !tokenizer.isExact) return { profile, estimated };
      return { profile, estimated, cost: await this.#counted(profile, estimated, tokenizer) };
    }));
    return costs.flatMap(({ profile, estimated, cost }) =>
      estimated === undefined ? [] : [viewCost(profile, cost ?? estimated, estimated)]
    );
  }

  /** Both lists of a view, counted here. */
  async #counted(
    profile: string | undefined,
    estimated: GateCost,
    { count }: Tokenizer,
  ): Promise<GateCost> {
    const [all, listed] = await Promise.all(
      [false, true].map((gated) => this.#list(this.#urls.gate(profile, gated), "tools")),
    );
    const sum = (tools: readonly JsonObject[] = []) =>
      tools.reduce((tokens, tool) => tokens + toolTokens(tool, count), 0);
    return { ...estimated, ...costsOf(sum(all), sum(listed)) };
  }

  /** Every tool, gated or not; a gateway that knows no gates has them all at its endpoint. */
  async #allTools(): Promise<readonly JsonObject[]> {
    try {
      return await this.#list(this.#urls.gate(undefined, false), "tools");
    } catch (error) {
      const { cause } = error as Error;
      if (!(cause instanceof HttpStatusError && cause.status === 404)) throw error;
      return await this.#list(this.#urls.aggregate, "tools");
    }
  }

  async call(tool: string, argumentsText: string, options: CallerOptions): Promise<string> {
    const meta = { ...this.#envelope(), [MetaKey.ProgressToken]: "cli" };
    const params = `{"name":${JSON.stringify(tool)},"arguments":${argumentsText},` +
      `"_meta":${JSON.stringify(meta)}}`;
    const response = await this.#request(this.#urls.mcp, "tools/call", params, options);
    return response.raw;
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  /** All lists of an endpoint; those that `counts` says are empty are not asked for. */
  async #lists(url: string, counts: unknown): Promise<ParsedLists> {
    const known = isObject(counts) ? counts : undefined;
    const lists = await Promise.all(LIST_RULES.map(async ({ kind }) => {
      const empty = known?.[kind] === 0;
      return [kind, empty ? [] : await this.#list(url, kind)] as const;
    }));
    const byKind = new Map(lists);
    return eachKind((kind) => byKind.get(kind) ?? []);
  }

  async #list(url: string, kind: ListKind): Promise<readonly JsonObject[]> {
    const { method } = listRule(kind);
    const items: JsonObject[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = { ...(cursor === undefined ? {} : { cursor }), _meta: this.#envelope() };
      const { result, error } = await this.#request(url, method, JSON.stringify(params), {});
      if (result === undefined) {
        throw new CliError(ExitCode.Failed, `Cannot list ${kind}: ${String(error?.message)}`);
      }
      items.push(...itemsIn(result, kind));
      if (typeof result.nextCursor !== "string") break;
      cursor = result.nextCursor;
    }
    return items;
  }

  #envelope(): JsonObject {
    return {
      [MetaKey.ProtocolVersion]: LATEST_MODERN_VERSION,
      [MetaKey.ClientCapabilities]: {},
      [MetaKey.ClientInfo]: { name: "mcproxy-cli", version: VERSION },
    };
  }

  async #request(
    url: string,
    method: string,
    paramsText: string,
    { onNotification }: Partial<CallerOptions>,
  ): Promise<ResponseMessage> {
    const transport = new StreamableHttpTransport({
      server: "gateway",
      target: { kind: "http", url, transport: "http", headers: {} },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      clock: systemClock,
      toolHeaders: () => [],
    });
    const id = ++this.#id;
    const signal = this.#closing.signal;
    const stop = () => void transport.close();
    signal.addEventListener("abort", stop);
    let response: ResponseMessage | undefined;
    try {
      await transport.start({
        onMessage: (message) => {
          if (message.kind === "response") response = message;
          else if (message.kind === "notification") onNotification?.(message.raw);
        },
        onInvalid: () => {},
        onClose: () => {},
      });
      transport.setProtocol(LATEST_MODERN_VERSION, "modern");
      await transport.send(request(String(id), method, paramsText), { method, requestId: id });
    } catch (error) {
      throw this.#explain(error, signal);
    } finally {
      signal.removeEventListener("abort", stop);
      await transport.close();
    }
    if (response !== undefined) return response;
    throw notAGateway(this.#urls.label, 200);
  }

  #explain(error: unknown, signal: AbortSignal): Error {
    const { label } = this.#urls;
    if (error instanceof CliError) return error;
    if (error instanceof HttpStatusError) return notAGateway(label, error.status, error);
    const why = signal.aborted
      ? "did not answer in time"
      : error instanceof NetworkError
      ? error.why
      : error instanceof RpcError
      ? error.message
      : undefined;
    if (why === undefined) return error instanceof Error ? error : new Error(String(error));
    return new CliError(ExitCode.Failed, `Cannot ask the gateway at "${label}": it ${why}`, {
      hint: 'Start it with "mcproxy serve", or name another one by its URL',
    });
  }
}

/** The servers in a parsed status. */
export function serversIn(body: JsonObject): readonly RemoteServer[] {
  const servers = Array.isArray(body.servers) ? body.servers.filter(isObject) : [];
  return servers.map((raw) => {
    const state = String(raw.state ?? "unknown");
    const lastError = typeof raw.lastError === "string" ? raw.lastError : `is ${state}`;
    return {
      name: String(raw.name ?? ""),
      state,
      transport: String(raw.transport ?? ""),
      error: state === "ready" || state === "disabled" ? null : lastError,
      raw,
    };
  });
}

function notAGateway(label: string, status: number, cause?: Error): CliError {
  return new CliError(
    ExitCode.Failed,
    `Cannot ask the gateway at "${label}": HTTP ${status} is not what mcproxy answers`,
    { hint: "Check the URL: something else may listen there", cause },
  );
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
