/**
 * Tasks of both generations: 2025-11-25 (`tasks/get|result|list|cancel`, `notifications/tasks/status`)
 * and the extension of 2026-07-28 (`tasks/get|update|cancel`, `notifications/tasks`).
 *
 * A task lives on one server and may outlive every session, so its exposed id says where it is:
 * `<server>.<taskId>`, the server's name escaped to `[A-Za-z0-9_~-]`. That needs no table, and holds
 * over restarts and changes of the configuration as long as the server keeps its name. It is an
 * address, not a secret: the server's own id is in it as it is.
 *
 * Only ids that a server made are rewritten. What a client made for its server (task-augmented
 * sampling) passes as it is.
 */

import { editJson, type JsonEdit, rawAt, rawElements } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject, valueAt } from "../lib/json.ts";
import { type Era, MetaKey } from "./eras.ts";
import { openCursor, sealCursor } from "./lists.ts";
import {
  metaOf,
  type NotificationMessage,
  type RequestMessage,
  type ResponseMessage,
} from "./message.ts";
import { isForeign } from "./methods.ts";

/** Which task a client means. */
export interface TaskRoute {
  /** Config key of the server that has it. */
  readonly server: string;
  /** The server's own id. */
  readonly taskId: string;
}

/** Requests about one task, which `params.taskId` names; `methods.ts` has the era of each. */
const TASK_METHODS = new Set(["tasks/get", "tasks/cancel", "tasks/result", "tasks/update"]);

/** Whether requests with this method are about the task in `params.taskId`, in this era. */
export function isTaskMethod(method: string, era: Era): boolean {
  return TASK_METHODS.has(method) && !isForeign(method, era);
}

/** The id under which clients of an aggregate know `taskId` of `server`. */
export function exposeTaskId(server: string, taskId: string): string {
  return `${escapeName(server)}.${taskId}`;
}

/** What {@link exposeTaskId} made of which server and id, or `undefined` where it made nothing. */
export function ownerOfTask(exposed: string): TaskRoute | undefined {
  const dot = exposed.indexOf(".");
  if (dot < 0) return undefined;
  const label = exposed.slice(0, dot);
  const server = unescapeName(label);
  return server !== undefined && escapeName(server) === label
    ? { server, taskId: exposed.slice(dot + 1) }
    : undefined;
}

/** The server's own id of the task that this response to `method` says was created. */
export function createdTask({ result }: ResponseMessage, method: string): string | undefined {
  const path = createdTaskPath(result, method);
  return path === undefined ? undefined : textAt({ result }, path);
}

/** Edits of a server's response to `method`, before an aggregate's client gets it. */
export function responseTaskEdits(
  { raw, result }: ResponseMessage,
  method: string,
  server: string,
): readonly JsonEdit[] {
  if (result === undefined) return NONE;
  if (method === "tasks/list") {
    const tasks = exposedTasks(raw, server);
    return tasks === undefined
      ? NONE
      : [{ path: ["result", "tasks"], value: `[${tasks.join(",")}]` }];
  }
  const path = TASK_METHODS.has(method) ? ["result", "taskId"] : createdTaskPath(result, method);
  // Nearly all of them.
  if (path === undefined && result._meta === undefined) return NONE;
  return [
    ...exposing(path, { result }, server),
    ...exposing(["result", ...RELATED], { result }, server),
  ];
}

/** Edits of a server's own notification or request, before an aggregate's client gets it. */
export function outgoingTaskEdits(
  { kind, method, params }: NotificationMessage | RequestMessage,
  server: string,
): readonly JsonEdit[] {
  if (params === undefined) return NONE;
  const related = exposing(["params", ...RELATED], { params }, server);
  return kind === "notification" && STATUS.has(method)
    ? [...exposing(["params", "taskId"], { params }, server), ...related]
    : related;
}

/**
 * Edits of what an aggregate's client says to `server`: a request about a task, anything that
 * belongs to a task (a task-related answer to an elicitation too). Ids of other servers stay: what
 * they mean there is for that server to say.
 */
export function incomingTaskEdits(
  message: RequestMessage | NotificationMessage | ResponseMessage,
  server: string,
): readonly JsonEdit[] {
  if (message.kind === "response") {
    return restoring(["result", ...RELATED], { result: message.result }, server);
  }
  const params = { params: message.params };
  const related = restoring(["params", ...RELATED], params, server);
  return message.kind === "request" && TASK_METHODS.has(message.method)
    ? [...restoring(["params", "taskId"], params, server), ...related]
    : related;
}

/** The id of the task that a message with these parameters belongs to, as its server gives it. */
export function relatedTask(params: JsonObject | undefined): Json | undefined {
  const related = metaOf(params)[MetaKey.RelatedTask];
  return isObject(related) ? related.taskId : undefined;
}

/** The parameters of a question that belongs to a task, for a client of an aggregate. */
export function exposedQuestion(paramsText: string, server: string): string {
  return editJson(paramsText, exposing(RELATED, JSON.parse(paramsText), server));
}

/** The client's answer to such a question, for the server. */
export function restoredAnswer(answer: ResponseMessage, server: string): ResponseMessage {
  return { ...answer, raw: editJson(answer.raw, incomingTaskEdits(answer, server)) };
}

/** The texts of the tasks in a response to `tasks/list`, exposed; `undefined` where it has none. */
export function exposedTasks(raw: string, server: string): readonly string[] | undefined {
  return rawElements(rawAt(raw, ["result", "tasks"]) ?? "")?.map((text) => {
    const task: unknown = JSON.parse(text);
    return isObject(task) ? editJson(text, exposing(["taskId"], task, server)) : text;
  });
}

const NONE: readonly JsonEdit[] = [];
const STATUS = new Set(["notifications/tasks/status", "notifications/tasks"]);
/** `_meta` of everything that belongs to a task (2025-11-25). */
const RELATED: readonly string[] = ["_meta", MetaKey.RelatedTask, "taskId"];

/** Where a response says which task was created: `result.task` of old, the result itself now. */
function createdTaskPath(
  result: JsonObject | undefined,
  method: string,
): readonly string[] | undefined {
  if (method !== "tools/call" || result === undefined) return undefined;
  if (result.resultType === "task") return ["result", "taskId"];
  // A tool result has content; what else it carries is the server's own and stays.
  return isObject(result.task) && result.content === undefined
    ? ["result", "task", "taskId"]
    : undefined;
}

function exposing(
  path: readonly string[] | undefined,
  root: unknown,
  server: string,
): readonly JsonEdit[] {
  const taskId = path === undefined ? undefined : textAt(root, path);
  return taskId === undefined
    ? NONE
    : [{ path: path!, value: JSON.stringify(exposeTaskId(server, taskId)) }];
}

function restoring(path: readonly string[], root: unknown, server: string): readonly JsonEdit[] {
  const owner = ownerOfTask(textAt(root, path) ?? "");
  return owner?.server === server ? [{ path, value: JSON.stringify(owner.taskId) }] : NONE;
}

function textAt(root: unknown, path: readonly string[]): string | undefined {
  const found = valueAt(root, path);
  return typeof found === "string" ? found : undefined;
}

/** Every character that is none of `[A-Za-z0-9_-]` as `~<code point in hex>~`. */
function escapeName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/gu, (char) => `~${char.codePointAt(0)!.toString(16)}~`);
}

/** Any name for which {@link escapeName} gave this label, if there is one. */
function unescapeName(label: string): string | undefined {
  const name = label.replaceAll(/~([0-9a-f]{1,6})~/g, (whole, hex: string) => {
    const code = parseInt(hex, 16);
    return code > 0x10ffff ? whole : String.fromCodePoint(code);
  });
  return /^[A-Za-z0-9_~-]*$/.test(label) ? name : undefined;
}

// `tasks/list` (2025-11-25) over several servers. Each page asks every server that has more, one
// page of its own, so that the gateway keeps nothing between pages: the cursor carries theirs.

/** Whom to ask for the next page: the server's own cursor, `undefined` from its beginning. */
export interface TaskListQuestion {
  readonly server: string;
  readonly cursor: string | undefined;
}

/** What one server answered, `undefined` where it did not. */
export interface TaskListAnswer {
  readonly server: string;
  readonly response: ResponseMessage | undefined;
}

/**
 * Whom to ask, given the client's `params.cursor` and the servers that list tasks. A server that is
 * not among them any more is left out. `undefined` for a cursor that is not one of ours (-32602).
 */
export function taskListQuestions(
  cursor: unknown,
  servers: readonly string[],
): readonly TaskListQuestion[] | undefined {
  if (cursor === undefined) return servers.map((server) => ({ server, cursor: undefined }));
  const pairs = openCursor(cursor);
  if (!Array.isArray(pairs)) return undefined;
  const asked = pairs.flatMap((pair): TaskListQuestion[] =>
    Array.isArray(pair) && typeof pair[0] === "string" && typeof pair[1] === "string"
      ? [{ server: pair[0], cursor: pair[1] }]
      : []
  );
  if (asked.length !== pairs.length) return undefined;
  return asked.filter(({ server }) => servers.includes(server));
}

/** Edits of the client's request for one of the servers. */
export function taskListEdits({ cursor }: TaskListQuestion): readonly JsonEdit[] {
  return [{
    path: ["params", "cursor"],
    value: cursor === undefined ? undefined : JSON.stringify(cursor),
  }];
}

/**
 * The members of the merged result, without braces. `keep` says which tasks the client may see: on
 * a connection that serves several clients a server lists the tasks of them all.
 */
export function mergedTaskList(
  answers: readonly TaskListAnswer[],
  keep: (server: string, taskId: string) => boolean = () => true,
): string {
  const tasks = answers.flatMap(({ server, response }) => {
    const parsed = response?.result?.tasks;
    if (!Array.isArray(parsed)) return [];
    return exposedTasks(response!.raw, server)!.filter((_text, index) => {
      const task = parsed[index];
      return isObject(task) && typeof task.taskId === "string" && keep(server, task.taskId);
    });
  });
  const more = answers.flatMap(({ server, response }) => {
    const next = response?.result?.nextCursor;
    return typeof next === "string" ? [[server, next]] : [];
  });
  const cursor = more.length === 0 ? "" : `,"nextCursor":${JSON.stringify(sealCursor(more))}`;
  return `"tasks":[${tasks.join(",")}]${cursor}`;
}
