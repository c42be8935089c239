/**
 * The way of one request, in the order it goes: the snapshot; a list, which is cached text; who
 * answers anything else, and by what name that server knows it; then what the configuration puts in
 * between, the connection, and the names under which the answer goes back. The snapshot is read once,
 * so that a reload cannot split one answer over two configurations. Only who waited reads it again:
 * for a server that starts, or for a tool that finds tools.
 */

import type { Settings } from "../config/types.ts";
import { type Endpoint, gone, serverEndpoint, viewOf } from "../gating/endpoint.ts";
import type { Snapshot } from "../gating/gate.ts";
import type { Gating } from "../gating/gating.ts";
import { META_TOOLS } from "../gating/meta-tools.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import { resourceNotFound } from "../protocol/eras.ts";
import { ErrorCode, invalidParams, methodNotFound, RpcError } from "../protocol/errors.ts";
import { type Exchange, noteWait } from "../protocol/exchange.ts";
import { badState } from "../protocol/inputs.ts";
import { cursorOf, type ListKind } from "../protocol/lists.ts";
import { idTextOf, type RequestMessage, type ResponseMessage } from "../protocol/message.ts";
import { isForeign, methodRule, STATEFUL_METHODS } from "../protocol/methods.ts";
import { incomingTaskEdits } from "../protocol/tasks.ts";
import { ListReply, modernMembers, type Reply, replyText } from "../registry/answers.ts";
import { pageOf } from "../registry/lists.ts";
import type { NamedKind, Route, View } from "../registry/types.ts";
import { wantsLogin } from "../upstream/transport/failures.ts";
import type { Limits } from "./access/limits.ts";
import type { ActiveExchange } from "./clients/exchange.ts";
import type { LogLevels } from "./clients/subscriptions.ts";
import { type Forwarder, forwardTo, type Parked } from "./eras.ts";
import type { Chains } from "./middleware/chains.ts";
import { callOf, compose } from "./middleware/middleware.ts";
import { storedReply } from "./middleware/result-store.ts";
import type { Snapshots } from "./snapshots.ts";
import {
  exposed,
  hasForeignState,
  ifRefused,
  listTasks,
  type Owners,
  rememberOwner,
} from "./tasks.ts";

/** The gateway's parts on the way of a call. */
export interface CallParts {
  readonly snapshots: Pick<Snapshots, "registry" | "whenListable" | "whenNamed">;
  /** Answers the tools that find tools. */
  readonly gating: Pick<Gating, "answers" | "answer" | "isConstant" | "listed" | "provisioned">;
  readonly config: { readonly settings: Pick<Settings, "pageSize"> };
  /** Whose a task is. */
  readonly tasks: Owners;
  /** Whose a `requestState` is. */
  readonly states: Owners;
  /** What calls and results go through. */
  readonly chains: Chains;
  readonly levels: Pick<LogLevels, "want">;
  readonly members: { upstream(name: string): Forwarder | undefined };
  /** Why there is none of this name, where it is there and held back. */
  heldBack?(kind: NamedKind, name: string, endpoint: Endpoint): string | undefined;
  readonly parking: Parked;
  /** Undefined where nothing is limited. */
  readonly control?: Pick<Limits, "spend"> | undefined;
}

/** Where a request goes. */
interface Target {
  readonly server: string;
  /** What is called, by the server's own name; `undefined` where nothing is configured for it. */
  readonly own?: string | undefined;
  /** What the server is told otherwise than the client has said it. */
  readonly edits: readonly JsonEdit[];
  /** The tool, of several servers. */
  readonly tool?: Route;
  /** The tool or prompt. */
  readonly route?: Route | undefined;
}

/** The tools that the gateway answers itself. */
const META_ROUTES: ReadonlyMap<unknown, Route> = new Map(
  META_TOOLS.map((name) => [name, { server: "", name, exposed: name }]),
);
/** In a result of theirs; in a text within it, the quotes would be escaped. */
const IS_ERROR = '"isError":true';
const AS_IT_IS: readonly JsonEdit[] = [];
const NAME: readonly string[] = ["params", "name"];
const URI: readonly string[] = ["params", "uri"];

/**
 * Answers one request.
 * @throws {RpcError} what the client is to be told instead of a result
 */
export function route(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  parts: CallParts,
): Reply | Promise<Reply> {
  // Not async: each layer of promises on the way of every call shows in a profile.
  const { registry } = parts.snapshots;
  const { client: { era }, request } = exchange;
  const { method } = request;
  const handling = methodRule(method, era)?.handling;
  if (handling?.by === "list") {
    const { kind } = handling.rule;
    // Read anew: looking whether there is something to list brings the snapshot up to date.
    const answer = () => list(exchange, kind, endpoint, parts.snapshots.registry, parts);
    if (kind === "tools" && parts.gating.isConstant(endpoint, registry)) return answer();
    return parts.snapshots.whenListable(endpoint)?.then(answer) ?? answer();
  }
  const view = viewIn(registry, endpoint);
  if (handling?.by === "front" || STATEFUL_METHODS.has(method) || isForeign(method, era)) {
    throw methodNotFound(method);
  }
  if (method === "resources/read") {
    const stored = storedReply(exchange, parts.chains.store, view);
    if (stored !== undefined) return stored;
  }
  if (endpoint.server !== undefined) {
    return call(exchange, directTarget(exchange, endpoint, view, parts), view, parts);
  }
  if (handling?.by === "taskList") {
    const ask = (server: string, edits: readonly JsonEdit[]) =>
      send(exchange, server, edits, view, parts);
    return listTasks(exchange, view, parts.tasks, ask);
  }
  if (method === "tools/call" && parts.gating.answers(request, endpoint, registry)) {
    const answer = parts.gating.answer(exchange, endpoint, parts.snapshots);
    const { record } = exchange;
    if (record !== undefined) record.route = META_ROUTES.get(request.params?.name);
    // Where it calls a tool, the call goes on as one of that tool, in the snapshot as it is by now.
    const orCall = (reply: Reply | undefined) => {
      if (reply === undefined) {
        if (record !== undefined) [record.via, record.route] = [record.route?.name, undefined];
        return callOwner(exchange, endpoint, viewIn(parts.snapshots.registry, endpoint), parts);
      }
      if (record !== undefined && replyText(reply).includes(IS_ERROR)) {
        record.outcome = "tool_error";
      }
      return reply;
    };
    return answer instanceof Promise ? answer.then(orCall) : orCall(answer);
  }
  return callOwner(exchange, endpoint, view, parts);
}

function viewIn(registry: Snapshot, endpoint: Endpoint): View {
  const view = viewOf(registry, endpoint);
  if (view !== undefined) return view;
  throw gone(endpoint);
}

// A list: cached text, no server is asked.

function list(
  { client, request }: Exchange,
  kind: ListKind,
  endpoint: Endpoint,
  registry: Snapshot,
  { gating, config: { settings: { pageSize } } }: CallParts,
): Reply {
  const view = viewIn(registry, endpoint);
  if (kind === "tools") gating.listed(endpoint, registry);
  const cursor = cursorOf(request);
  const own = kind === "tools"
    ? gating.provisioned.ownTools(client, endpoint, registry)
    : undefined;
  const page = own === undefined
    ? view.page(kind, client.era, cursor, pageSize)
    : pageOf(own, view.id, cursor, pageSize);
  if (page === undefined) throw invalidParams("unknown cursor");
  const tail = client.era === "legacy" ? "}}" : `,${modernMembers(view, page, client.principal)}}}`;
  return new ListReply(idTextOf(request), page, tail);
}

// Who answers.

function callOwner(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  view: View,
  parts: CallParts,
): Promise<Reply> {
  const target = targetOf(exchange, view, parts.tasks);
  if (target !== undefined) return call(exchange, target, view, parts);
  return exchange.request.method === "resources/read"
    ? readUnlisted(exchange, view, parts)
    : callLate(exchange, endpoint, parts);
}

/** A client that knows its tools from before a restart calls them before their server is back. */
async function callLate(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  parts: CallParts,
): Promise<Reply> {
  const named = parts.snapshots.whenNamed(
    endpoint,
    (later) => targetOf(exchange, later, parts.tasks) !== undefined,
  );
  await noteWait(exchange, named);
  const view = viewIn(parts.snapshots.registry, endpoint);
  const target = targetOf(exchange, view, parts.tasks);
  if (target !== undefined) return await call(exchange, target, view, parts);
  const { method, params } = exchange.request;
  const kind = method === "tools/call" ? "tool" : "prompt";
  const held = parts.heldBack?.(kind, String(params?.name), endpoint);
  throw held === undefined ? unknownName(kind, String(params?.name), view) : badParams(held);
}

/**
 * Whom a request of several servers' clients is for; `undefined` for the name of a tool or prompt,
 * or the URI of a resource, that nobody is known to have.
 * @throws {RpcError} where it cannot be for anybody
 */
function targetOf({ client, request }: Exchange, view: View, tasks: Owners): Target | undefined {
  const { method, params: { name, uri, ref, taskId } = {} } = request;
  const handling = methodRule(method, client.era)?.handling;
  if (handling?.by !== "owner") {
    // A method of an extension goes to the one server that declares it.
    const server = view.ownerOfExtension(method);
    if (server === undefined) throw methodNotFound(method);
    return { server, edits: AS_IT_IS };
  }
  switch (handling.of) {
    case "tool":
    case "prompt": {
      if (typeof name !== "string") throw invalidParams('"name" must be a string');
      const found = view[handling.of](name);
      if (found === undefined) return undefined;
      const { server, name: own } = found;
      const edits = renamed(NAME, name, own);
      const target = { server, own, edits, route: found };
      return handling.of === "tool" ? { ...target, tool: found } : target;
    }
    case "resource": {
      if (typeof uri !== "string") throw invalidParams('"uri" must be a string');
      const found = view.resource(uri);
      if (found !== undefined) {
        const { server, uri: own } = found;
        return { server, own, edits: renamed(URI, uri, own) };
      }
      const several = view.ambiguous("resource", uri).map((one) => one.exposed);
      if (several.length === 0) return undefined;
      throw badParams(`Several servers offer "${uri}"; read ${several.join(" or ")}`, { uri });
    }
    case "completion": {
      if (isObject(ref) && typeof ref.name === "string") {
        const found = view.prompt(ref.name);
        if (found === undefined) throw unknownName("prompt", ref.name, view);
        const edits = renamed(["params", "ref", "name"], ref.name, found.name);
        return { server: found.server, edits };
      }
      if (!isObject(ref) || typeof ref.uri !== "string") {
        throw invalidParams('"ref" must be a prompt or resource reference');
      }
      const found = view.template(ref.uri) ?? view.resource(ref.uri);
      if (found === undefined) throw badParams(`Unknown resource template "${ref.uri}"`);
      const edits = renamed(["params", "ref", "uri"], ref.uri, found.uri);
      return { server: found.server, edits };
    }
    case "task": {
      const found = typeof taskId === "string" ? view.task(taskId) : undefined;
      if (found === undefined || !tasks.mayHave(client, found.server, found.taskId)) {
        throw unknownTask(taskId);
      }
      const edits = view.labelsTasks ? incomingTaskEdits(request, found.server) : AS_IT_IS;
      return { server: found.server, edits };
    }
  }
}

/**
 * One server 1:1: what it is sent stays as it is. What the configuration leaves out of it cannot be
 * reached here either; asked about the member that the method is about, for a client may send any
 * others beside it. Nor can a task of somebody else be had, where they have to say who they are.
 */
function directTarget(
  { client, request }: Exchange,
  endpoint: Endpoint,
  view: View,
  parts: CallParts,
): Target {
  const server = endpoint.server!;
  const { method, params: { name, uri, ref, taskId } = {} } = request;
  const called = method === "resources/read" ? uri : name;
  const own = typeof called === "string" ? called : undefined;
  const handling = methodRule(method, client.era)?.handling;
  const kind = handling?.by === "owner" ? handling.of : undefined;
  const isNamed = (kind === "tool" || kind === "prompt") && own !== undefined;
  const target = { server, own, edits: AS_IT_IS, route: isNamed ? view[kind](own) : undefined };
  if (handling?.by !== "owner") return target;
  if (handling.of === "task") {
    const isOwn = client.principal === undefined || parts.tasks.isOf(client, server, taskId);
    if (isOwn) return target;
    throw unknownTask(taskId);
  }
  const check = (kind: "tool" | "prompt" | "resource", asked: unknown) => {
    if (typeof asked !== "string" || view.allows(server, kind, asked)) return;
    const what = kind === "resource" ? "Resource not found" : `Unknown ${kind}`;
    const held = kind === "resource" ? undefined : parts.heldBack?.(kind, asked, endpoint);
    if (held !== undefined) throw badParams(held);
    throw badParams(`${what}: ${JSON.stringify(asked)}`);
  };
  if (handling.of !== "completion") {
    check(handling.of, called);
  } else if (isObject(ref)) {
    check("prompt", ref.name);
    if (typeof ref.uri === "string" && view.template(ref.uri) === undefined) {
      throw badParams(`Unknown resource template: ${JSON.stringify(ref.uri)}`);
    }
  }
  return target;
}

/**
 * A resource link in a tool's result need not be listed (server/tools: resource links), so every
 * server with resources is asked in turn. Reading has no side effects. One that could not be asked
 * for want of a login may have it.
 */
async function readUnlisted(exchange: Exchange, view: View, parts: CallParts): Promise<Reply> {
  const { request: { params }, client: { era } } = exchange;
  const uri = String(params?.uri);
  const readable = view.serversWith("resources")
    .filter((server) => view.allows(server, "resource", uri));
  let login: unknown;
  for (const server of readable) {
    exchange.signal.throwIfAborted();
    const asked = Promise.try(() => send(exchange, server, AS_IT_IS, view, parts));
    const response = await asked.catch((error) => {
      if (wantsLogin(error)) login ??= error;
      return ifRefused(error);
    });
    if (response?.result !== undefined) {
      return exposed(response, exchange, server, view, parts.tasks);
    }
  }
  throw login ?? resourceNotFound(uri, `Resource not found: no server offers "${uri}"`, era);
}

// There and back.

function call(
  exchange: ActiveExchange,
  { server, own, edits, tool, route }: Target,
  view: View,
  parts: CallParts,
): Promise<Reply> {
  const { record, request: { method } } = exchange;
  if (record !== undefined) [record.route, record.ownName] = [route, own];
  if (hasForeignState(exchange, server, parts.states)) throw badState("it is not ours");
  const chain = own === undefined ? undefined : parts.chains.of(method, server, own, view);
  const answer = chain === undefined ? send(exchange, server, edits, view, parts) : compose(
    chain,
    (last) => send(last.exchange, last.server, last.edits, view, parts),
  )(callOf(exchange, server, own!, edits));
  return answer.then((response) => {
    rememberOwner(response, exchange, server, parts.tasks, parts.states);
    record?.answeredBy(response, tool);
    return exposed(response, exchange, server, view, parts.tasks);
  });
}

function send(
  exchange: Exchange,
  server: string,
  edits: readonly JsonEdit[],
  view: View,
  parts: CallParts,
): Promise<ResponseMessage> {
  const all = decided(exchange.request, edits);
  const told = parts.levels.want(server, exchange.client);
  // Bound, as in `forwardTo`.
  return told === undefined
    ? forward(exchange, server, all, view, parts)
    : told.then(forward.bind(undefined, exchange, server, all, view, parts));
}

function forward(
  exchange: Exchange,
  server: string,
  edits: readonly JsonEdit[],
  view: View,
  { members, parking, control }: CallParts,
): Promise<ResponseMessage> {
  // Looked up when it is needed: a reload may have put another one in its place.
  const upstream = members.upstream(server);
  control?.spend(exchange, server);
  if (upstream !== undefined) return forwardTo(upstream, exchange, edits, view, parking);
  throw gone(serverEndpoint(server));
}

function renamed(path: readonly string[], given: string, own: string): readonly JsonEdit[] {
  return given === own ? AS_IT_IS : [{ path, value: JSON.stringify(own) }];
}

/**
 * With what else makes a request name nothing but what the gateway has looked at: a member may be
 * there twice, and the server take the other one. An edit leaves the last one alone.
 */
function decided(
  { raw, method, params }: RequestMessage,
  edits: readonly JsonEdit[],
): readonly JsonEdit[] {
  // An escape may spell any of them.
  const isOnce = !raw.includes("\\u") && !isTwice(raw, '"method"') &&
    (edits.length > 0 || !(isTwice(raw, '"name"') || isTwice(raw, '"uri"'))) &&
    (params?.taskId === undefined || !isTwice(raw, '"taskId"')) &&
    (params?.requestState === undefined || !isTwice(raw, '"requestState"'));
  if (isOnce) return edits;
  const ref = isObject(params?.ref) ? params.ref : {};
  const members: readonly (readonly [unknown, ...string[]])[] = [
    [method, "method"],
    [params?.name, "params", "name"],
    [params?.uri, "params", "uri"],
    [params?.taskId, "params", "taskId"],
    [params?.requestState, "params", "requestState"],
    [ref.name, "params", "ref", "name"],
    [ref.uri, "params", "ref", "uri"],
  ];
  const given = members.flatMap(([value, ...path]) =>
    typeof value === "string" ? [{ path, value: JSON.stringify(value) }] : []
  );
  const isEdited = (path: string) => edits.some((edit) => edit.path.join() === path);
  return [...given.filter(({ path }) => !isEdited(path.join())), ...edits];
}

function isTwice(raw: string, quoted: string): boolean {
  const first = raw.indexOf(quoted);
  return first >= 0 && raw.includes(quoted, first + 1);
}

// What a client is told instead.

function unknownTask(taskId: Json | undefined): RpcError {
  return badParams(`Unknown task ${JSON.stringify(taskId ?? null)}`);
}

function badParams(text: string, data?: JsonObject): RpcError {
  return new RpcError(ErrorCode.InvalidParams, text, data);
}

function unknownName(kind: "tool" | "prompt", name: string, view: View): RpcError {
  const several = view.ambiguous(kind, name).map((one) => one.exposed);
  if (several.length > 0) {
    return badParams(
      `Unknown ${kind} "${name}": several servers have one; call ${several.join(" or ")}`,
    );
  }
  const near = suggest(name, view.names(kind));
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  return badParams(`Unknown ${kind} "${name}"${hint}`);
}
