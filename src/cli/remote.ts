import { CliError, failed, type Io, say } from "../app/io.ts";
import { plainTarget } from "../config/types.ts";
import { costsOf, type GateCost } from "../gating/gate.ts";
import type { ServerOffer } from "../gateway/offers.ts";
import { isObject, type JsonObject, parsedObject } from "../lib/json.ts";
import { systemClock } from "../lib/time.ts";
import { printable, snippet } from "../lib/text.ts";
import type { Tokenizer } from "../lib/tokens.ts";
import { VERSION } from "../lib/version.ts";
import { LATEST_MODERN_VERSION, MetaKey } from "../protocol/eras.ts";
import { RpcError } from "../protocol/errors.ts";
import { LIST_RULES } from "../protocol/lists.ts";
import { request, type ResponseMessage } from "../protocol/message.ts";
import { toolTokens } from "../registry/source.ts";
import { HttpStatusError, NetworkError } from "../upstream/transport/failures.ts";
import { EVENT_STREAM, HttpClient, type HttpRequest } from "../upstream/transport/http-client.ts";
import { StreamableHttpTransport } from "../upstream/transport/http.ts";
import type { OptionValues } from "./command.ts";
import { type Credential, credentialFor, NotLetInError, RefusedError } from "./credential.ts";
import { costIn, type ViewCost, viewCost } from "./costs.ts";
import { type GatewayUrls, gatewayUrls, ownAddress } from "./urls.ts";

/** How long a status may take, milliseconds. */
const STATUS_TIMEOUT = 10_000;
/** Pages of one list; the gateway itself sends one. */
const MAX_PAGES = 1_000;

const NOTHING: { readonly body: JsonObject } = { body: {} };

/**
 * The gateway at `--url`; without, the one that runs here with the same configuration: a second copy
 * of its servers would write beside it. Undefined where there is none.
 * @throws {UsageError} for what is no URL
 */
export async function remoteCaller(
  { url, config, json }: OptionValues,
  io: Pick<Io, "env" | "cwd" | "stderr" | "secrets">,
): Promise<RemoteCaller | undefined> {
  if (url !== undefined) return new RemoteCaller(gatewayUrls(url), io);
  const { files, env, hasAuth } = await ownAddress(io, config);
  const file = files.join(", ");
  const urls = gatewayUrls(undefined, env);
  const caller = new RemoteCaller(urls, io);
  const { body } = files.length === 0 ? NOTHING : await caller.status().catch((error: unknown) => {
    if (!hasAuth || !(error instanceof NotLetInError)) return NOTHING;
    // It may well be the one, and does not tell that to everybody.
    if (error.status === 401) throw error;
    return { body: { config: { path: file } } };
  });
  if (isObject(body.config) && body.config.path === file) {
    if (json !== true) await say(io.stderr, `Asking the gateway that runs at ${urls.label}\n`);
    return caller;
  }
  await caller.close();
  return undefined;
}

/** What the gateway has said about itself. */
export interface RemoteAnswer {
  /** Whether the HTTP status was one of success. */
  readonly ok: boolean;
  readonly status: number;
  readonly raw: string;
  readonly body: JsonObject;
}

/**
 * A gateway that runs elsewhere, asked as one in this process (`LocalCaller`) but in the modern era:
 * no session is left behind.
 */
export class RemoteCaller {
  readonly #closing = new AbortController();
  readonly #credential: Credential;
  #id = 0;

  /** `io` has what is shown to the gateway. @throws {UsageError} */
  constructor(
    private readonly urls: GatewayUrls,
    io: Parameters<typeof credentialFor>[1] = { env: {} },
  ) {
    this.#credential = credentialFor(urls.mcp, io);
  }

  /** The status as text and parsed. @throws {CliError} where it cannot be had */
  status(): Promise<RemoteAnswer> {
    const isStatus = ({ ok, body }: RemoteAnswer) => ok && Array.isArray(body.servers);
    return this.#ask(`${this.urls.api}/status`, "its status", isStatus);
  }

  /** What `/health` says, well or not. @throws {CliError} where it says nothing */
  health(): Promise<RemoteAnswer> {
    const isHealth = ({ body }: RemoteAnswer) => typeof body.status === "string";
    return this.#ask(this.urls.health, "its health", isHealth);
  }

  /** What it answers below `/api`. @throws {CliError} where it does not do it, with what it says */
  async api(
    method: HttpRequest["method"],
    path: string,
    sent?: unknown,
  ): Promise<JsonObject> {
    const request = sent === undefined ? { method } : { method, body: JSON.stringify(sent) };
    const url = `${this.urls.api}/${path}`;
    const { ok, status, body } = await this.#ask(url, "an answer", () => true, request);
    if (ok) return body;
    const why = snippet(printable(String(body.message ?? body.error)));
    const message = `The gateway at "${this.urls.label}" refused it: ${why}`;
    throw new RefusedError(message, status);
  }

  /**
   * Follows an event stream below `/api` to its end, or that of `signal`. `onOpen` is called once it
   * is there, `onData` with what each event has. @throws {CliError} as {@link api}
   */
  async follow(
    path: string,
    onData: (data: JsonObject) => void,
    signal: AbortSignal,
    onOpen: () => void,
  ): Promise<void> {
    const http = this.#http(`${this.urls.api}/${path}`);
    const all = AbortSignal.any([this.#closing.signal, signal]);
    const what = "what happens";
    try {
      const headers = { accept: EVENT_STREAM, ...await this.#credential.headers() };
      const response = await http.send({ method: "GET", headers, signal: all, what });
      // A refusal is told as any other question's.
      if (!response.ok) return void await this.api("GET", path);
      onOpen();
      const onEvent = ({ data }: { readonly data: string }) => onData(parsedObject(data) ?? {});
      await http.events(response, what, { onEvent });
    } catch (error) {
      if (!signal.aborted) throw this.#explain(error, this.#closing.signal);
    }
  }

  #http(url: string): HttpClient {
    return new HttpClient({ server: "gateway", target: plainTarget(url) });
  }

  async #ask(
    url: string,
    what: string,
    expected: (answer: RemoteAnswer) => boolean,
    sent: Pick<HttpRequest, "method" | "body"> = { method: "GET" },
  ): Promise<RemoteAnswer> {
    const http = this.#http(url);
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(STATUS_TIMEOUT)]);
    try {
      const type = sent.body === undefined ? {} : { "content-type": "application/json" };
      const known = await this.#credential.headers();
      const headers = { accept: "application/json", ...type, ...known };
      const response = await http.send({ ...sent, headers, signal, what });
      const { ok, status } = response;
      const raw = await http.text(response, what);
      this.#checkLetIn(status, raw);
      const body = status === 204 ? {} : parsedObject(raw);
      const answer = body && { ok, status, raw, body };
      if (answer !== undefined && expected(answer)) return answer;
      throw notAGateway(this.urls.label, status);
    } catch (error) {
      throw this.#explain(error, signal);
    }
  }

  /** As the gateway tells it, counted again where a tokenizer is exact. */
  async offers(tokenizer: Tokenizer): Promise<readonly ServerOffer[]> {
    const isAnswer = ({ body: { servers, error } }: RemoteAnswer) =>
      error === "not_found" || (Array.isArray(servers) && servers.every(isOffer));
    const { ok, body } = await this.#ask(
      `${this.urls.api}/tools`,
      "what its servers offer",
      isAnswer,
    );
    if (!ok) throw tooOld(this.urls.label, (await this.status()).body);
    const servers = body.servers as unknown as readonly ServerOffer[];
    return tokenizer.isExact ? await this.#recounted(servers, tokenizer) : servers;
  }

  /** The same with tokens that are counted here. */
  async #recounted(
    servers: readonly ServerOffer[],
    { count }: Tokenizer,
  ): Promise<readonly ServerOffer[]> {
    const listed = await this.#tools(this.urls.gate(undefined, false));
    const tokens = new Map(listed.map((tool) => [tool.name, toolTokens(tool, count)]));
    return servers.map((server) => ({
      ...server,
      tools: server.tools.map((tool) => {
        const counted = tokens.get(tool.exposed);
        return counted === undefined ? tool : { ...tool, tokens: counted };
      }),
    }));
  }

  /** Nothing where the gateway does not know gating. */
  async views(tokenizer: Tokenizer): Promise<readonly ViewCost[]> {
    const { body } = await this.status();
    const profiles = Array.isArray(body.profiles) ? body.profiles.filter(isObject) : [];
    const views = [{ name: undefined, gating: body.gating }, ...profiles];
    const costs = await Promise.all(views.map(async ({ name, gating }) => {
      const profile = typeof name === "string" ? name : undefined;
      const estimated = costIn(gating);
      if (estimated === undefined) return [];
      const counted = tokenizer.isExact && await this.#counted(profile, estimated, tokenizer);
      return [viewCost(profile, counted || estimated, estimated)];
    }));
    return costs.flat();
  }

  /** Both lists of a view, counted here. */
  async #counted(
    profile: string | undefined,
    estimated: GateCost,
    { count }: Tokenizer,
  ): Promise<GateCost> {
    const [all, listed] = await Promise.all(
      [false, true].map((gated) => this.#tools(this.urls.gate(profile, gated))),
    );
    const sum = (tools: readonly JsonObject[] = []) =>
      tools.reduce((tokens, tool) => tokens + toolTokens(tool, count), 0);
    return { ...estimated, ...costsOf(sum(all), sum(listed)) };
  }

  call(
    tool: string,
    argumentsText: string,
    onNotification: (raw: string) => void,
  ): Promise<string> {
    const members = `"name":${JSON.stringify(tool)},"arguments":${argumentsText}`;
    return this.send("tools/call", members, onNotification);
  }

  /** Asks something with these members, at the endpoint that was named; the answer as it came. */
  async send(
    method: string,
    members: string,
    onNotification: (raw: string) => void,
    url: string = this.urls.mcp,
  ): Promise<string> {
    const meta = { ...this.#envelope(), [MetaKey.ProgressToken]: "cli" };
    const params = `{${members},"_meta":${JSON.stringify(meta)}}`;
    return (await this.#request(url, method, params, onNotification)).raw;
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  async #tools(url: string): Promise<readonly JsonObject[]> {
    const tools: JsonObject[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = { ...(cursor === undefined ? {} : { cursor }), _meta: this.#envelope() };
      const { result, error } = await this.#request(url, "tools/list", JSON.stringify(params));
      if (result === undefined) {
        throw failed(`Cannot list tools: ${String(error?.message)}`);
      }
      if (Array.isArray(result.tools)) tools.push(...result.tools.filter(isObject));
      if (typeof result.nextCursor !== "string") break;
      cursor = result.nextCursor;
    }
    return tools;
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
    onNotification?: (raw: string) => void,
  ): Promise<ResponseMessage> {
    const transport = new StreamableHttpTransport({
      server: "gateway",
      target: plainTarget(url, await this.#credential.headers()),
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
    throw notAGateway(this.urls.label, 200);
  }

  /** @throws {NotLetInError} */
  #checkLetIn(status: number, said = ""): void {
    const refusal = this.#credential.refusal(status, said);
    if (refusal !== undefined) throw new NotLetInError(this.urls.label, status, refusal);
  }

  #explain(error: unknown, signal: AbortSignal): Error {
    const { label } = this.urls;
    if (error instanceof CliError) return error;
    if (error instanceof HttpStatusError) this.#checkLetIn(error.status, error.said);
    if (error instanceof HttpStatusError) return notAGateway(label, error.status, error);
    const why = signal.aborted
      ? "did not answer in time"
      : error instanceof NetworkError
      ? error.why
      : error instanceof RpcError
      ? error.message
      : undefined;
    if (why === undefined) return error instanceof Error ? error : new Error(String(error));
    const hint = signal.aborted
      ? "Something listens there and hangs, or a firewall is between: look into its log, restart it"
      : 'Start it with "mcproxy serve", or name another one by its URL';
    return failed(`Cannot ask the gateway at "${label}": it ${why}`, { hint });
  }
}

/** Whether it can be shown as what a server offers. */
function isOffer(one: unknown): boolean {
  const isText = (text: unknown) => text === null || typeof text === "string";
  const isItem = (item: unknown) =>
    isObject(item) && typeof item.own === "string" &&
    [item.exposed, item.title, item.description].every(isText);
  return isObject(one) && typeof one.name === "string" && isText(one.error) &&
    LIST_RULES.every(({ kind }) => Array.isArray(one[kind]) && one[kind].every(isItem));
}

function notAGateway(label: string, status: number, cause?: Error): CliError {
  const message =
    `Cannot ask the gateway at "${label}": HTTP ${status} is not what mcproxy answers`;
  const hint = "Check the URL: something else may listen there";
  return failed(message, { hint, cause });
}

/** A gateway from before `/api/tools`. */
function tooOld(label: string, { version }: JsonObject): CliError {
  const message = `Cannot list what the gateway at "${label}" offers: mcproxy ${String(version)} ` +
    "does not tell it";
  const hint = `Run it with the version of this command, ${VERSION}`;
  return failed(message, { hint });
}
