/**
 * What keeps a server in: a sandbox around its command, or an image instead of one. Loaded for files
 * that may have either.
 */

import * as v from "valibot";
import { isObject } from "../lib/json.ts";
import { quote } from "./issue.ts";
import { about, type Checked, chosen, flag, optional } from "./schema-parts.ts";
import { members } from "./schema-shaping.ts";
import type { IssueCollector } from "./validate.ts";

const PATH_HINT = 'an absolute path such as "/srv/data"';
const MOUNT_HINT = 'a mount such as "/srv/data:/data:ro", with absolute paths';
const MOUNT =
  /^(?:\/[^:\0\n]*|[A-Za-z0-9][\w.-]+):\/[^:\0\n]+(?::(?:ro|rw|z|Z)(?:,(?:ro|rw|z|Z))*)?$/;

/** A list of texts of one form; those with a variable show what they are at start only. */
function listOf(form: RegExp, hint: string, pattern: string, description: string, like: string) {
  return v.pipe(
    v.array(
      v.pipe(v.string(hint), v.check((text) => form.test(text), hint), v.metadata({ pattern })),
      "an array of strings",
    ),
    v.metadata({ ...about(description, [like]), default: [] }),
  );
}

const paths = (description: string, like: string) =>
  listOf(/^\/[^\0]*$/, PATH_HINT, String.raw`^(/|.*\$\{)`, description, like);

const options = members(optional({
  read: paths("Files and directories it may read.", "/srv/data"),
  write: paths("Files and directories it may change.", "/srv/out"),
  network: flag("Whether it has the network."),
}, { read: () => [], write: () => [], network: false }));

const word = v.boolean('true, or an object with "read", "write" and "network"');

/** The options of a server that is kept in. */
export const confiningOptions = {
  sandbox: v.pipe(
    chosen(v.union([word, options]), ({ value }) => isObject(value) ? options : word),
    v.metadata({
      ...about(
        "Whether the program runs in a sandbox (Linux, bubblewrap), where it sees the system, " +
          "itself and the paths that are named, and has no network unless that is true.",
        { read: ["/srv/data"], network: true },
        true,
      ),
      default: false,
    }),
    v.transform((given): Sandbox | undefined =>
      given === true ? { read: [], write: [], network: false } : given || undefined
    ),
  ),
  image: v.pipe(
    v.string("a string"),
    v.check(
      (name) => /^[A-Za-z0-9][\w./:@-]*$/.test(name),
      'the name of an image such as "docker.io/mcp/fetch"',
    ),
    v.metadata(about(
      "Image to run instead of a command, by podman, else docker: args are those of its program, " +
        "and env is what it gets.",
      "docker.io/mcp/fetch",
    )),
  ),
  mounts: listOf(
    MOUNT,
    MOUNT_HINT,
    String.raw`^(.+:/.+|.*\$\{.*)$`,
    "What the container of an image sees of this machine: SRC:DST, with :ro to read only.",
    "/srv/data:/data:ro",
  ),
  network: flag("Whether the container of an image has the network.", false),
};

/** What a sandbox lets through. */
export type Sandbox = Checked<typeof options>;

/** What has no effect without another: nobody shall think that it had. */
const NEEDS = { sandbox: "command", mounts: "image", network: "image" } as const;

/** Reports what would keep nobody in, and what an image cannot stand beside. */
export function checkConfining(
  raw: Readonly<Record<string, unknown>>,
  collector: IssueCollector,
): void {
  for (const [key, other] of Object.entries(NEEDS)) {
    if (!(key in raw) || other in raw) continue;
    const remedy = key === "network" && "command" in raw
      ? 'put it into "sandbox"'
      : `remove it, or set "${other}"`;
    collector.error([key], `found "${key}" without "${other}"`, { part: "key", remedy });
  }
  if (!("image" in raw)) return;
  for (const key of ["command", "url", "urls"].filter((key) => key in raw)) {
    collector.error([key], `found both "image" and "${key}", expected one of them`, {
      part: "key",
      remedy: 'keep "image" to start a container',
    });
  }
  for (const key of ["transport", "type"].filter((key) => (raw[key] ?? "stdio") !== "stdio")) {
    collector.error([key], `found ${quote(String(raw[key]))} beside "image", expected "stdio"`);
  }
  for (const key of ["headers", "auth", "cwd"].filter((key) => key in raw)) {
    collector.warn([key], `"${key}" has no effect beside "image"`, { part: "key" });
  }
}
