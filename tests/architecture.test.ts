import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What each layer may import, itself aside; DESIGN §6. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  runtime: ["lib"],
  log: ["runtime", "lib"],
  protocol: ["lib"],
  config: ["log", "runtime", "lib"],
  upstream: ["protocol", "config", "log", "runtime", "lib"],
  registry: ["protocol", "config", "log", "runtime", "lib"],
  gateway: ["registry", "upstream", "protocol", "config", "log", "runtime", "lib"],
  front: ["gateway", "registry", "upstream", "protocol", "config", "log", "runtime", "lib"],
  cli: ["front", "gateway", "registry", "upstream", "protocol", "config", "log", "runtime", "lib"],
};

const MAX_LINES = 500;

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path: relative(ROOT, path), text: readFileSync(path, "utf8") };
    });
}

/** Comments may name what code may not use. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

/** `eager` leaves out what the compiler erases and what is loaded when a command is called. */
function imports({ path, text }: Source, { eager } = { eager: false }): string[] {
  const found = withoutComments(text).matchAll(
    /(?:import|export)\s[^"';]*?from\s*"([^"]+)"|import\s*\(?\s*"([^"]+)"/g,
  );
  const late = /^(?:import|export)\s+type\s|^import\s*\(/;
  return [...found].filter((match) => !eager || !late.test(match[0])).map((
    match,
  ) => match[1] ?? match[2]!).map((specifier) =>
    specifier.startsWith(".") ? relative(ROOT, resolve(ROOT, dirname(path), specifier)) : specifier
  );
}

const src = sources("src");

test("the architecture test sees the sources and their imports", () => {
  assert.ok(src.length > 50, `only ${src.length} files found`);
  const router = src.find((source) => source.path === "src/gateway/router.ts");
  assert.ok(router !== undefined && imports(router).includes("src/registry/types.ts"));
});

test("imports point down", () => {
  const wrong = src.flatMap((source) => {
    const layer = source.path.split("/")[1]!;
    const allowed = ALLOWED[layer];
    if (allowed === undefined) return [`${source.path}: no such layer`];
    return imports(source)
      .filter((target) => target.startsWith("src/") || target === "#runtime")
      .map((target) => target === "#runtime" ? "runtime" : target.split("/")[1]!)
      .filter((target) => target !== layer && !allowed.includes(target))
      .map((target) => `${source.path} imports ${target}`);
  });
  assert.deepEqual(wrong, []);
});

test("only src/runtime knows the runtime", () => {
  const wrong = src
    .filter(({ path }) => !path.startsWith("src/runtime/"))
    .filter(({ text }) => /\b(?:Deno|Bun)\s*[.[]/.test(withoutComments(text)))
    .map(({ path }) => path);
  assert.deepEqual(wrong, []);
});

test("only src/cli and src/log write to the console", () => {
  const wrong = src
    .filter(({ path }) => !/^src\/(cli|log)\//.test(path))
    .filter(({ text }) => /\bconsole\s*\./.test(withoutComments(text)))
    .map(({ path }) => path);
  assert.deepEqual(wrong, []);
});

test("nobody but the command line chooses the runtime", () => {
  const wrong = src
    .filter(({ path }) => !path.startsWith("src/cli/"))
    .filter((source) => imports(source).includes("#runtime"))
    .map(({ path }) => path);
  assert.deepEqual(wrong, []);
});

test(`no file has more than ${MAX_LINES} lines`, () => {
  const long = [...src, ...sources("tests"), ...sources("scripts"), ...sources("bench")]
    .map(({ path, text }) => ({ path, lines: text.split("\n").length }))
    .filter(({ lines }) => lines > MAX_LINES);
  assert.deepEqual(long, []);
});

test("registry and upstream know nothing of each other, and no import is circular", () => {
  const graph = new Map(src.map((source) => [source.path, imports(source, { eager: true })]));
  const state = new Map<string, "open" | "done">();
  const circles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      circles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      return;
    }
    state.set(path, "open");
    for (const target of graph.get(path) ?? []) {
      if (graph.has(target)) visit(target, [...trail, path]);
    }
    state.set(path, "done");
  };
  for (const path of graph.keys()) visit(path, []);
  assert.deepEqual(circles, []);
});

test("every exported symbol carries a doc comment", () => {
  const bare = src.flatMap(({ path, text }) => {
    const lines = text.split("\n");
    return lines.flatMap((line, index) => {
      if (
        !/^export (?:abstract |async |declare )*(?:function|class|interface|type|const|enum)\s+\w/
          .test(line)
      ) {
        return [];
      }
      // The implementation behind overloads is documented once, above the first of them.
      const before = lines.slice(0, index).findLast((one) => one.trim() !== "") ?? "";
      const documented = before.trim().endsWith("*/") || /^export (?:async )?function/.test(before);
      return documented ? [] : [`${path}:${index + 1} ${line.slice(0, 60)}`];
    });
  });
  assert.deepEqual(bare, []);
});
