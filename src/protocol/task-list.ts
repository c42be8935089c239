/**
 * `tasks/list` (2025-11-25) over several servers. Each page asks every server that has more, one
 * page of its own, so that the gateway keeps nothing between pages: the cursor carries theirs.
 */

import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject } from "../lib/json.ts";
import { openCursor, sealCursor } from "./cursor.ts";
import type { ResponseMessage } from "./message.ts";
import { exposedTasks } from "./tasks.ts";

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
  const asked = readCursor(cursor);
  return asked?.filter(({ server }) => servers.includes(server));
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

function readCursor(cursor: unknown): readonly TaskListQuestion[] | undefined {
  const pairs = openCursor(cursor);
  if (!Array.isArray(pairs)) return undefined;
  const questions = pairs.flatMap((pair): TaskListQuestion[] =>
    Array.isArray(pair) && typeof pair[0] === "string" && typeof pair[1] === "string"
      ? [{ server: pair[0], cursor: pair[1] }]
      : []
  );
  return questions.length === pairs.length ? questions : undefined;
}
