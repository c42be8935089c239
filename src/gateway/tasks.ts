/**
 * Tasks (2025-11-25 core, 2026-07-28 extension) behind one endpoint: an id names its server, so
 * that the gateway keeps no table to find the way back. What it does keep is whose a task is: on a
 * shared connection a server would show every client's tasks to each.
 */

import { dropOfBusiest } from "../gating/provisioned.ts";
import { editJson, type JsonEdit, rawAt, rawElements } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject, shortHash } from "../lib/json.ts";
import { invalidParams, RpcError } from "../protocol/errors.ts";
import { type Client, type Exchange, holderOf } from "../protocol/exchange.ts";
import { cursorOf } from "../protocol/lists.ts";
import {
  idTextOf,
  type NotificationMessage,
  type ResponseMessage,
  resultResponse,
} from "../protocol/message.ts";
import {
  createdTask,
  mergedTaskList,
  outgoingTaskEdits,
  responseTaskEdits,
  taskListEdits,
  taskListQuestions,
} from "../protocol/tasks.ts";
import type { View } from "../registry/types.ts";
import { STORED_PREFIX } from "./middleware/result-store.ts";

/**
 * Answers `tasks/list` from all servers that have one; one that fails is left out.
 * @throws {RpcError} -32602 for a cursor that is not ours
 */
export async function listTasks(
  exchange: Exchange,
  view: View,
  owners: Owners,
  send: (server: string, edits: readonly JsonEdit[]) => Promise<ResponseMessage>,
): Promise<string> {
  const { request, client } = exchange;
  const questions = taskListQuestions(cursorOf(request), view.capabilities().taskLists);
  if (questions === undefined) throw invalidParams("unknown cursor");
  const answers = await Promise.all(questions.map(async (question) => ({
    server: question.server,
    response: await Promise.try(send, question.server, taskListEdits(question)).catch(ifRefused),
  })));
  const mine = (server: string, taskId: string) => owners.isOf(client, server, taskId);
  return resultResponse(idTextOf(request), `{${mergedTaskList(answers, mine)}}`);
}

/** Nothing instead of a response, where a server has refused or cannot be had. */
export function ifRefused(error: unknown): undefined {
  if (!(error instanceof RpcError)) throw error;
}

/** Remembers whose what is that a response gives to come back with: a task, a `requestState`. */
export function rememberOwner(
  response: ResponseMessage,
  { client, request }: Exchange,
  server: string,
  tasks: Owners,
  states: Owners,
): void {
  const taskId = createdTask(response, request.method);
  if (taskId !== undefined) tasks.set(server, taskId, client);
  const state = stateOf(client, response.result);
  if (state !== undefined) states.set(server, state, client);
}

/**
 * Whether a request carries a `requestState` that its principal was not given. A server cannot tell:
 * to it the gateway is one client.
 */
export function hasForeignState(
  { client, request: { params } }: Exchange,
  server: string,
  states: Owners,
): boolean {
  const state = stateOf(client, params);
  return state !== undefined && !states.isOf(client, server, state);
}

/** A short form of it, which may be kilobytes long; a server may give several clients the same. */
function stateOf({ principal }: Client, given: JsonObject | undefined): string | undefined {
  const state = given?.requestState;
  return principal === undefined || typeof state !== "string"
    ? undefined
    : shortHash(JSON.stringify([principal.id, state]), 32);
}

/** The text of a response with tasks and URIs as the view's clients know them, and as they may. */
export function exposed(
  response: ResponseMessage,
  exchange: Exchange,
  server: string,
  view: View,
  owners: Owners,
): string {
  // First, for it may write the whole result anew.
  const raw = withExposedUris(response, server, view);
  const { request: { method }, client } = exchange;
  const own = client.principal === undefined ? raw : editJson(
    raw,
    view.labelsTasks || method !== "tasks/list"
      ? scopeEdits(response, client)
      : ownTaskEdits(response, client, server, owners),
  );
  return view.labelsTasks ? editJson(own, responseTaskEdits(response, method, server)) : own;
}

/** What a server calls public is so among those who may use it, and not for who is in between. */
function scopeEdits({ result }: ResponseMessage, { era }: Client): readonly JsonEdit[] {
  return era === "legacy" || result?.cacheScope !== "public"
    ? []
    : [{ path: ["result", "cacheScope"], value: '"private"' }];
}

/** Leaves a server's list of tasks those of the client. */
function ownTaskEdits(
  { raw, result }: ResponseMessage,
  client: Client,
  server: string,
  owners: Owners,
): readonly JsonEdit[] {
  if (result === undefined) return [];
  const { tasks } = result;
  const own = (rawElements(rawAt(raw, ["result", "tasks"]) ?? "") ?? []).filter((_text, at) => {
    const task = Array.isArray(tasks) ? tasks[at] : undefined;
    return isObject(task) && owners.isOf(client, server, task.taskId);
  });
  return [{ path: ["result", "tasks"], value: `[${own.join(",")}]` }];
}

/**
 * Whether clients of a view may hear this of a server: a resource they have subscribed to may be
 * theirs no more.
 */
export function mayHear({ params }: NotificationMessage, server: string, view: View): boolean {
  return typeof params?.uri !== "string" || view.allows(server, "resource", params.uri);
}

/** The text of a notification about a task or a resource as the view's clients know them. */
export function exposedNotification(
  message: NotificationMessage,
  server: string,
  view: View,
): string {
  const raw = withExposedUris(message, server, view);
  return view.labelsTasks ? editJson(raw, outgoingTaskEdits(message, server)) : raw;
}

/** Members that hold a resource URI wherever they stand in a result (MCP Apps included). */
const URI_KEYS: ReadonlySet<string> = new Set(["uri", "resourceUri", "ui/resourceUri"]);

/** Finds out by one look at the text that a result names no URI, which is the rule. */
const MAY_NAME_URI = /[uU]ri"/;

/**
 * The text of a message in which the URIs that two servers share carry their exposed form.
 * Untouched text unless it does name a shared URI; only then what it says is serialised anew.
 */
export function withExposedUris(
  message: ResponseMessage | NotificationMessage,
  server: string,
  view: View,
): string {
  const { raw } = message;
  if (!view.rewritesUris(server) || !MAY_NAME_URI.test(raw)) return raw;
  const member = message.kind === "response" ? "result" : "params";
  // Read anew: what the bridge between the eras has changed is in the text alone.
  const said = (JSON.parse(raw) as JsonObject)[member];
  let changed = false;
  const walk = (value: Json | undefined): void => {
    if (Array.isArray(value)) return value.forEach(walk);
    if (!isObject(value)) return;
    for (const [key, member] of Object.entries(value)) {
      if (typeof member !== "string") walk(member);
      // What the gateway keeps is nobody's, whatever templates servers have.
      else if (URI_KEYS.has(key) && !member.startsWith(STORED_PREFIX)) {
        value[key] = view.exposedUri(server, member);
        changed ||= value[key] !== member;
      }
    }
  };
  walk(said);
  return changed ? editJson(raw, [{ path: [member], value: JSON.stringify(said) }]) : raw;
}

/** More than any gateway has open at one time; the oldest of who has the most is forgotten first. */
const MAX_OWNERS = 10_000;

type Owner = Pick<Client, "session" | "principal">;

/**
 * Whose something long-lived is that an upstream names later without saying whose it is: an
 * elicitation in a browser, a task, a state. Bounded, see {@link dropOfBusiest}.
 */
export class Owners {
  readonly #owners = new Map<string, Owner>();

  /** Remembers that `id` of `server` belongs to a client that can be recognised. */
  set(server: string, id: string, { session, principal }: Owner): void {
    if (session === undefined && principal === undefined) return;
    const key = keyOf(server, id);
    this.#owners.delete(key);
    this.#owners.set(key, { session, principal });
    dropOfBusiest(this.#owners, MAX_OWNERS, (_, { principal }) => principal?.id);
  }

  /** The session, where it is known; `id` is what the server gives for one, where it names any. */
  get(server: string, id: Json | undefined): string | undefined {
    // Asked for each word of a server, of which few name one.
    return id === undefined ? undefined : this.#owners.get(keyOf(server, id))?.session;
  }

  /** Whether it is known to be this client's: of its session, or of who is behind it. */
  isOf(client: Owner, server: string, id: Json | undefined): boolean {
    const owner = id === undefined ? undefined : this.#owners.get(keyOf(server, id));
    return owner !== undefined && holderOf(owner) === holderOf(client);
  }

  /** Whether this client may have it: its own; and, where nobody has to say who he is, nobody's. */
  mayHave(client: Owner, server: string, id: string): boolean {
    return this.isOf(client, server, id) ||
      (client.principal === undefined && !this.#owners.has(keyOf(server, id)));
  }
}

function keyOf(server: string, id: Json): string {
  return JSON.stringify([server, id]);
}
