/**
 * Decides who answers a client request and makes it so. Reads the snapshot once per request and
 * keeps it, so that a reload in between cannot split one answer over two configurations.
 */

import { type Endpoint, goneText, viewOf } from "../gating/endpoint.ts";
import type { Snapshot } from "../gating/gate.ts";
import type { Gating } from "../gating/gating.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import type { ListRule } from "../protocol/lists.ts";
import { idTextOf, type ResponseMessage } from "../protocol/message.ts";
import { isForeign, methodRule, STATEFUL_METHODS } from "../protocol/methods.ts";
import { DEFAULT_TTL_MS, type Reply, serverMeta, spliced } from "../registry/answers.ts";
import { pageOf } from "../registry/lists.ts";
import type { View } from "../registry/types.ts";
import type { ActiveExchange } from "./clients/exchange.ts";
import { type Forwarder, forwardTo } from "./eras.ts";
import type { Chains } from "./middleware/chains.ts";
import { callOf, compose } from "./middleware/middleware.ts";
import { storedReply } from "./middleware/size.ts";
import type { Parking } from "./parking.ts";
import {
  aboutTask,
  listTasks,
  type Owners,
  rememberTask,
  type Send,
  withExposedTasks,
  withExposedUris,
} from "./tasks.ts";

/** What the router needs of the gateway. */
export interface RouterHost {
  /** The current snapshot. */
  readonly registry: Snapshot;
  readonly parking: Parking;
  /** What calls and results go through. */
  readonly chains: Chains;
  /** Answers the tools that find tools. */
  readonly gating: Pick<Gating, "answers" | "answer" | "isConstant" | "provisioned" | "called">;
  /** Whose a task is. */
  readonly tasks: Owners;
  /** Entries on one page of a list; 0 is all. */
  readonly pageSize: number;
  /**
   * Sees to it that a server logs what a modern client wants for this request. Resolves when it
   * has been told, `undefined` when there is nothing to tell.
   */
  wantLevel(server: string, client: Client): Promise<void> | undefined;
  /** The upstream of a configured, enabled server. */
  upstream(name: string): Forwarder | undefined;
  /** Resolves when the view has something to list, or has been waited for long enough. */
  whenListable(endpoint: Endpoint): Promise<void> | undefined;
  /**
   * Resolves when a view of the endpoint satisfies `known`, or cannot any more because no server
   * is starting, or has been waited for long enough. A client that knows its tools from before a
   * restart calls them before their server is back.
   */
  whenNamed(endpoint: Endpoint, known: (view: View) => boolean): Promise<void>;
}

/**
 * Answers one request.
 * @throws {RpcError} what the client is to be told instead of a result
 */
export function route(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  host: RouterHost,
): Reply | Promise<Reply> {
  // Not async: each layer of promises on the way of every call shows in a profile.
  const { method } = exchange.request;
  const rule = methodRule(method, exchange.client.era);
  if (rule?.handling.by === "list") {
    const listRule = rule.handling.rule;
    const answer = () => list(exchange, listRule, endpoint, host);
    if (listRule.kind === "tools" && host.gating.isConstant(endpoint, host.registry)) {
      return answer();
    }
    return host.whenListable(endpoint)?.then(answer) ?? answer();
  }
  const view = currentView(endpoint, host);
  if (
    STATEFUL_METHODS.has(method) || rule?.handling.by === "front" ||
    isForeign(method, exchange.client.era)
  ) {
    throw new RpcError(ErrorCode.MethodNotFound, `Method not found: "${method}"`);
  }
  if (method === "resources/read") {
    const stored = storedReply(exchange, host.chains.store, view);
    if (stored !== undefined) return stored;
  }
  if (endpoint.server !== undefined) return direct(exchange, endpoint.server, view, host);
  if (rule === undefined) return extension(exchange, view, host);
  const forward: Send = (server, edits) => send(exchange, server, edits, view, host);
  if (rule.handling.by === "taskList") {
    return listTasks(exchange, view, host.tasks, forward);
  }
  switch (rule.handling.of) {
    case "tool":
      return host.gating.answers(exchange.request, endpoint, host.registry)
        ? meta(exchange, endpoint, host)
        : named(exchange, "tool", endpoint, host);
    case "prompt":
      return named(exchange, rule.handling.of, endpoint, host);
    case "resource":
      return resource(exchange, view, host);
    case "completion":
      return completion(exchange, view, host);
    case "task":
      return aboutTask(exchange, view, host.tasks, forward);
  }
}

/** One upstream 1:1: what it is sent and what it answers stay as they are. */
async function direct(
  exchange: Exchange,
  server: string,
  view: View,
  host: RouterHost,
): Promise<Reply> {
  const { name, uri } = exchange.request.params ?? {};
  const called = exchange.request.method === "resources/read" ? uri : name;
  checkAllowed(exchange, server, view);
  const response = typeof called === "string"
    ? await sendThrough(exchange, server, called, [], view, host)
    : await send(exchange, server, [], view, host);
  rememberTask(response, exchange, server, host.tasks);
  return response.raw;
}

/**
 * What the configuration leaves out of a server cannot be reached 1:1 either. Asked about the member
 * that the method is about: a client may send any others beside it.
 */
function checkAllowed(
  { client: { era }, request: { method, params } }: Exchange,
  server: string,
  view: View,
): void {
  const handling = methodRule(method, era)?.handling;
  if (handling?.by !== "owner" || handling.of === "task") return;
  const refuse = (what: string, own: string) => {
    throw new RpcError(ErrorCode.InvalidParams, `${what}: ${JSON.stringify(own)}`);
  };
  const check = (kind: "tool" | "prompt" | "resource", own: unknown) => {
    if (typeof own !== "string" || view.allows(server, kind, own)) return;
    refuse(kind === "resource" ? "Resource not found" : `Unknown ${kind}`, own);
  };
  if (handling.of !== "completion") {
    return check(handling.of, handling.of === "resource" ? params?.uri : params?.name);
  }
  const { name, uri } = isObject(params?.ref) ? params.ref : {};
  check("prompt", name);
  if (typeof uri === "string" && view.template(uri) === undefined) {
    refuse("Unknown resource template", uri);
  }
}

/** A method of an extension goes to the one server that declares it, as it is. */
async function extension(exchange: Exchange, view: View, host: RouterHost): Promise<Reply> {
  const { method } = exchange.request;
  const server = view.ownerOfExtension(method);
  if (server === undefined) {
    throw new RpcError(ErrorCode.MethodNotFound, `Method not found: "${method}"`);
  }
  const response = await send(exchange, server, [], view, host);
  return withExposedUris(response, server, view);
}

function currentView(endpoint: Endpoint, host: RouterHost): View {
  const view = viewOf(host.registry, endpoint);
  if (view !== undefined) return view;
  throw new RpcError(ErrorCode.UpstreamUnavailable, goneText(endpoint));
}

function list(
  { client, request }: Exchange,
  { kind }: ListRule,
  endpoint: Endpoint,
  host: RouterHost,
): Reply {
  const view = currentView(endpoint, host);
  const cursor = request.params?.cursor;
  const own = kind === "tools"
    ? host.gating.provisioned.ownTools(client, endpoint, host.registry)
    : undefined;
  const page = own === undefined
    ? view.page(kind, client.era, cursor, host.pageSize)
    : pageOf(own, view.id, cursor, host.pageSize);
  if (page === undefined) {
    throw new RpcError(ErrorCode.InvalidParams, "Invalid params: unknown cursor");
  }
  const head = `{"jsonrpc":"2.0","id":${idTextOf(request)},"result":{`;
  if (client.era === "legacy") return spliced(head, page, "}}");
  const ttl = page.ttlMs ?? DEFAULT_TTL_MS;
  const scope = page.cacheScope ?? "private";
  return spliced(
    head,
    page,
    `,"resultType":"complete","ttlMs":${ttl},"cacheScope":"${scope}",${serverMeta(view)}}}`,
  );
}

function send(
  exchange: Exchange,
  server: string,
  edits: readonly JsonEdit[],
  view: View,
  host: RouterHost,
): Promise<ResponseMessage> {
  const forward = () => {
    // Looked up when it is needed: a reload may have put another one in its place.
    const upstream = host.upstream(server);
    if (upstream !== undefined) return forwardTo(upstream, exchange, edits, view, host.parking);
    throw new RpcError(
      ErrorCode.UpstreamUnavailable,
      `Server "${server}" is not configured any more`,
    );
  };
  return host.wantLevel(server, exchange.client)?.then(forward) ?? forward();
}

/** As {@link send}, through what the configuration says of the tool or resource `name`. */
function sendThrough(
  exchange: Exchange,
  server: string,
  name: string,
  edits: readonly JsonEdit[],
  view: View,
  host: RouterHost,
): Promise<ResponseMessage> {
  const middlewares = host.chains.of(exchange.request.method, server, name, view);
  if (middlewares === undefined) return send(exchange, server, edits, view, host);
  const through = compose(
    middlewares,
    (call) => send(call.exchange, call.server, call.edits, view, host),
  );
  return through(callOf(exchange, server, name, edits));
}

/** A tool that finds tools; where it calls one, the call goes on as one of that tool. */
function meta(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  host: RouterHost,
): Reply | Promise<Reply> {
  const answer = host.gating.answer(exchange, endpoint, host);
  const orCall = (reply: Reply | undefined) => reply ?? named(exchange, "tool", endpoint, host);
  return answer instanceof Promise ? answer.then(orCall) : orCall(answer);
}

async function named(
  exchange: Exchange,
  kind: "tool" | "prompt",
  endpoint: Endpoint,
  host: RouterHost,
): Promise<Reply> {
  let view = currentView(endpoint, host);
  const name = exchange.request.params?.name;
  if (typeof name !== "string") {
    throw new RpcError(ErrorCode.InvalidParams, 'Invalid params: "name" must be a string');
  }
  let found = view[kind](name);
  if (found === undefined) {
    await host.whenNamed(endpoint, (later) => later[kind](name) !== undefined);
    view = currentView(endpoint, host);
    found = view[kind](name);
  }
  if (found === undefined) throw unknownName(kind, name, view);
  const edits = found.name === name ? [] : [edit(["params", "name"], found.name)];
  const response = await sendThrough(exchange, found.server, found.name, edits, view, host);
  rememberTask(response, exchange, found.server, host.tasks);
  if (kind === "tool" && hasSucceeded(response)) host.gating.called(found);
  const exposed = withExposedTasks(response, exchange.request.method, found.server, view);
  return withExposedUris({ ...response, raw: exposed }, found.server, view);
}

/** Not so a tool's error, nor a result that is a question of a modern server. */
function hasSucceeded({ result }: ResponseMessage): boolean {
  return result !== undefined && result.isError !== true &&
    (result.resultType ?? "complete") === "complete";
}

function unknownName(kind: "tool" | "prompt", name: string, view: View): RpcError {
  const several = view.ambiguous(kind, name).map((route) => route.exposed);
  if (several.length > 0) {
    return new RpcError(
      ErrorCode.InvalidParams,
      `Unknown ${kind} "${name}": several servers have one; call ${several.join(" or ")}`,
    );
  }
  const near = suggest(name, view.names(kind));
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return new RpcError(ErrorCode.InvalidParams, `Unknown ${kind} "${name}"${hint}`);
}

async function resource(exchange: Exchange, view: View, host: RouterHost): Promise<Reply> {
  const uri = exchange.request.params?.uri;
  if (typeof uri !== "string") {
    throw new RpcError(ErrorCode.InvalidParams, 'Invalid params: "uri" must be a string');
  }
  const found = view.resource(uri);
  if (found === undefined) {
    const several = view.ambiguous("resource", uri).map((route) => route.exposed);
    if (several.length === 0) return await unlisted(exchange, uri, view, host);
    throw new RpcError(
      ErrorCode.InvalidParams,
      `Several servers offer "${uri}"; read ${several.join(" or ")}`,
      { uri },
    );
  }
  const edits = found.uri === uri ? [] : [edit(["params", "uri"], found.uri)];
  const response = await sendThrough(exchange, found.server, found.uri, edits, view, host);
  return withExposedUris(response, found.server, view);
}

/**
 * A resource link in a tool's result need not be listed (server/tools: resource links), so every
 * server with resources is asked in turn. Reading has no side effects.
 */
async function unlisted(
  exchange: Exchange,
  uri: string,
  view: View,
  host: RouterHost,
): Promise<Reply> {
  const readable = view.serversWith("resources")
    .filter((server) => view.allows(server, "resource", uri));
  for (const server of readable) {
    exchange.signal.throwIfAborted();
    const response = await send(exchange, server, [], view, host).catch((error) => {
      if (error instanceof RpcError) return undefined;
      throw error;
    });
    if (response?.result !== undefined) return withExposedUris(response, server, view);
  }
  throw new RpcError(
    exchange.client.era === "legacy" ? ErrorCode.LegacyResourceNotFound : ErrorCode.InvalidParams,
    `Resource not found: no server offers "${uri}"`,
    { uri },
  );
}

async function completion(exchange: Exchange, view: View, host: RouterHost): Promise<Reply> {
  const ref = exchange.request.params?.ref;
  if (isObject(ref) && typeof ref.name === "string") {
    const found = view.prompt(ref.name);
    if (found === undefined) throw unknownName("prompt", ref.name, view);
    const edits = [edit(["params", "ref", "name"], found.name)];
    return (await send(exchange, found.server, edits, view, host)).raw;
  }
  if (isObject(ref) && typeof ref.uri === "string") {
    const found = view.template(ref.uri) ?? view.resource(ref.uri);
    if (found === undefined) {
      throw new RpcError(ErrorCode.InvalidParams, `Unknown resource template "${ref.uri}"`);
    }
    const edits = [edit(["params", "ref", "uri"], found.uri)];
    return (await send(exchange, found.server, edits, view, host)).raw;
  }
  throw new RpcError(
    ErrorCode.InvalidParams,
    'Invalid params: "ref" must be a prompt or resource reference',
  );
}

function edit(path: readonly string[], value: string): JsonEdit {
  return { path, value: JSON.stringify(value) };
}
