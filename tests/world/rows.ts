/**
 * What the world does to a gateway, as data: a row is one quirk of a server or a client. Add one
 * for each report; CONTRIBUTING.md says how.
 */

import type { ServerResponse } from "node:http";
import type { FakeProcess } from "../support/fake-child.ts";
import type { Seen } from "../upstream/fakes/http-server.ts";
import type { OddClient } from "./client.ts";
import type { Lab, View } from "./lab.ts";

/** What every row has. A row without a source, or without what is done and seen, is refused. */
export interface Row {
  /** A word or two with dashes; for a server also its name in the configuration. */
  readonly name: string;
  /** Who does it: a product, library or report; or the reason why somebody will. */
  readonly from: string;
  /** What it does, as the end of a sentence that begins with "A server" or "A client". */
  readonly does: string;
  /** What must be seen of it, in words. */
  readonly sees: string;
}

// deno-lint-ignore no-explicit-any
export type Json = any;

/** What is seen of a server through each view. */
export interface Expected {
  /** Waits until there is something to be seen, where that is not so from the first. */
  readonly first?: (lab: Lab) => Promise<unknown>;
  /** The tools it has in a list, by their own names. @default ["echo"] */
  readonly tools?: readonly string[] | ((view: View) => readonly string[]);
  /** What a call of `echo` ends with: the text of its result, or of its error. @default /^ok$/ */
  readonly call?: RegExp;
  /** One of its problems in the status; there is none otherwise. */
  readonly problem?: RegExp;
  /** Its last error in the status: it is not there, and has no tools. */
  readonly error?: RegExp;
  /** The same for each view, after the call. */
  readonly inView?: (view: View, lab: Lab) => Promise<void>;
  /** Whatever else there is to be seen, at last. */
  readonly also?: (lab: Lab) => Promise<void> | void;
}

/** A server as it would be without its quirk: answers with JSON-RPC texts. */
export type Plain = (message: Json) => string | undefined;

/** A stdio server that is odd. */
export interface OddStdio {
  /** Results by method, or what makes one of the params, where they are not the usual ones. */
  readonly results?: Readonly<Record<string, Json>>;
  /** What is written for an answer. @default the answer and a line feed */
  readonly write?: (answer: string, message: Json) => string | readonly (string | Uint8Array)[];
  /** Does something at its start, before it reads. */
  readonly start?: (process: FakeProcess) => void;
  /** Takes a message instead of the plain server; true where it has. */
  readonly take?: (message: Json, process: FakeProcess, plain: Plain) => boolean;
}

/** An HTTP server that is odd. `seen.url` is without the row's own part of the path. */
export interface OddHttp {
  /** As of {@link OddStdio.results}. */
  readonly results?: Readonly<Record<string, Json>>;
  /** Takes a request instead of the plain server; true where it has. */
  readonly take?: (seen: Seen, response: ServerResponse, plain: Plain) => boolean;
  /** The bytes of the whole answer to a POST, for what no server library writes. */
  readonly raw?: (answer: string | undefined, message: Json) => readonly string[];
  /** What follows its name in the URL. @default "/mcp" */
  readonly path?: string;
}

/** A row about a server: its name in the configuration is that of the row. */
export interface ServerRow extends Row {
  /** Further keys of its entry in the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly stdio?: () => OddStdio;
  readonly http?: () => OddHttp;
  readonly expect?: Expected;
}

type Headers = Readonly<Record<string, string | null>>;

/** One request of a client, byte for byte, and what is seen of its answer. */
export interface Step {
  /** The body: a message, or its text. None for a GET. */
  readonly say?: Json | ((client: OddClient) => Json);
  /** @default "POST" with a body, "GET" without */
  readonly method?: string;
  /** `{mcp}` and `{sse}` stand for the paths of the view. @default "{mcp}" */
  readonly path?: string;
  /** Headers of its own; a null leaves one out. */
  readonly headers?: Headers | ((client: OddClient) => Headers);
  /** Writes the whole request, instead of all that. */
  readonly bytes?: (client: OddClient) => string;
  readonly status: number;
  /** What the answer, its head included, has and has not. */
  readonly has?: RegExp;
  readonly hasNot?: RegExp;
}

/** A row about a client, which does the same through each view. */
export interface ClientRow extends Row {
  /** It speaks HTTP+SSE, which a server by itself is not served over. */
  readonly isOverSse?: boolean;
  /** The version of the session that it begins first; none where absent. */
  readonly session?: string;
  readonly steps?: readonly Step[];
  /** Chunks of what it writes to stdin, and what there is to be read in the end. */
  readonly stdin?: (tool: string) => readonly (string | Uint8Array)[];
  readonly stdout?: RegExp;
  /** What is no sequence of requests. */
  readonly run?: (client: OddClient) => Promise<void>;
}

/** Refuses rows that nobody could understand later. */
export function checkRows(rows: readonly Row[]): void {
  const names = new Set<string>();
  for (const { name, from, does, sees } of rows) {
    if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new Error(`Row "${name}": the name is no word`);
    if (names.has(name)) throw new Error(`Row "${name}" is there twice`);
    names.add(name);
    for (const [key, text] of Object.entries({ from, does, sees })) {
      if (text.trim().length < 8) throw new Error(`Row "${name}" does not say "${key}"`);
    }
  }
}
