/**
 * The walls of the house: who may import whom, how large a folder may grow, that a name means one
 * thing, and that what the documentation names exists. docs/decisions/0007 says why.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** From the top down; a layer may import those below it. */
const LAYERS = [
  "cli",
  "app",
  "front",
  "observe",
  "gateway",
  "gating",
  "registry",
  "upstream",
  "protocol",
  "schema",
  "config",
  "log",
  "runtime",
  "lib",
] as const;

/** Layers that stand lower, and still are none of a layer's business. */
const STRANGERS: Readonly<Partial<Record<string, readonly string[]>>> = {
  registry: ["upstream"],
  protocol: ["config", "log", "runtime"],
  schema: ["config", "log", "runtime"],
};

/**
 * Code lines (not blank, not comment alone) a place may have: its files, without sub-folders that
 * have a limit of their own. An issue that adds a feature raises its limit by what it states.
 */
const MOST_CODE: Readonly<Record<string, number>> = {
  "src/lib": 1_766,
  "src/runtime": 839,
  "src/log": 1_034,
  "src/schema": 884,
  "src/protocol": 1_729,
  "src/config": 5_496,
  "src/upstream": 2_627,
  "src/upstream/connection": 1_728,
  "src/upstream/transport": 2_114,
  "src/upstream/oauth": 650,
  "src/registry": 1_969,
  "src/gating": 2_256,
  "src/gating/words + src/gating/meaning": 1_790,
  "src/gateway/access": 792,
  "src/gateway": 2_068,
  "src/gateway/clients": 1_136,
  "src/gateway/members": 626,
  "src/gateway/middleware": 878,
  "src/gateway/pins": 350,
  "src/observe": 3_181,
  "src/front": 1_910,
  "src/front/api": 701,
  "src/front/auth": 732,
  "src/front/dashboard": 127,
  // What runs in the browser: modules, styles and the shell.
  "src/front/dashboard/web": 2_764,
  "src/app": 782,
  "src/cli": 3_516,
  "src/cli/observe": 608,
  "src/cli/login": 408,
  "src/cli/view": 263,
  "src/cli/clients": 1_914,
};

const MOST_CODE_IN_ALL = 47_620;
const MOST_FILES = 334;
const MOST_LINES = 500;

/** Every command exports `run`, and each runtime `runtime`. */
const SHARED_NAMES: readonly string[] = ["run", "runtime"];

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(folder: string, ending = /\.tsx?$/): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .filter(({ parentPath }) => !parentPath.includes("node_modules"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path: relative(ROOT, path), text: readFileSync(path, "utf8") };
    });
}

/** Comments may name what code may not use. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

/** What a file imports, types and what is loaded late included. */
function imports({ path, text }: Source): string[] {
  const found = withoutComments(text).matchAll(
    /(?:import|export)\s[^"';]*?from\s*"([^"]+)"|import\s*\(?\s*"([^"]+)"/g,
  );
  return [...found].map((match) => match[1] ?? match[2]!).map((specifier) =>
    specifier.startsWith(".") ? relative(ROOT, resolve(ROOT, dirname(path), specifier)) : specifier
  );
}

function layerOf(path: string): string {
  return path === "#runtime" ? "runtime" : path.split("/")[1]!;
}

function codeLines(text: string): number {
  return text.split("\n").filter((line) => !/^\s*(\/\/|\*|\/\*|$)/.test(line)).length;
}

/** The place whose limit counts for a file: the nearest folder above it that has one. */
function placeOf(path: string): string | undefined {
  for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) {
    const place = Object.keys(MOST_CODE).find((one) => one.split(" + ").includes(folder));
    if (place !== undefined) return place;
  }
  return undefined;
}

/** The names a file exports, by the form in which this project writes exports. */
function exportsOf({ text }: Source): Set<string> {
  const declared = withoutComments(text).matchAll(
    /^export (?:abstract |async |declare )*(?:function\*?|class|interface|type|const|let|enum)\s+(\w+)/gm,
  );
  return new Set(Array.from(declared, (match) => match[1]!));
}

const src = sources("src");
const pages = [...sources("docs", /\.md$/), ...["README.md", "CONTRIBUTING.md"].map(rootFile)];

function rootFile(path: string): Source {
  return { path, text: readFileSync(join(ROOT, path), "utf8") };
}

test("the architecture test sees the sources and their imports", () => {
  assert.ok(src.length > 50, `only ${src.length} files found`);
  const call = src.find((source) => source.path === "src/gateway/call.ts");
  assert.ok(call !== undefined && imports(call).includes("src/registry/types.ts"));
  assert.ok(exportsOf(call).size > 0);
  const desk = src.find((source) => source.path === "src/gating/gating.ts");
  assert.ok(desk !== undefined && imports(desk).includes("src/gating/desk.ts"), "late imports");
});

test("imports point down", () => {
  const wrong = src.flatMap((source) => {
    const layer = layerOf(source.path);
    const level = LAYERS.indexOf(layer as never);
    if (level < 0) return [`${source.path}: no such layer`];
    const allowed = LAYERS.slice(level).filter((one) => !STRANGERS[layer]?.includes(one));
    return imports(source)
      .filter((target) => target.startsWith("src/") || target === "#runtime")
      .filter((target) => !allowed.includes(layerOf(target) as never))
      .map((target) => `${source.path} imports ${target}`);
  });
  assert.deepEqual(wrong, []);
});

test("no import is circular, of types and of what is loaded late neither", () => {
  const graph = new Map(src.map((source) => [source.path, imports(source)]));
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

/** What is imported before anything runs; types are not. */
function startImports({ path, text }: Source): string[] {
  const found = withoutComments(text).matchAll(
    /^(?:import|export)\s(?!type\s)(?:[^"';]*?from\s*)?"([^"]+)"/gm,
  );
  return [...found].map(([, name = ""]) =>
    name.startsWith(".") ? relative(ROOT, resolve(ROOT, dirname(path), name)) : name
  );
}

test("only a login loads the SDK", () => {
  const wrong = src.flatMap((source) =>
    startImports(source)
      .filter((target) =>
        target.startsWith("@modelcontextprotocol/")
          ? source.path !== "src/cli/login/authorize.ts"
          : target === "src/cli/login/authorize.ts" || target === "open" ||
            (target.startsWith("src/cli/login/") && !source.path.startsWith("src/cli/login/"))
      )
      .map((target) => `${source.path} imports ${target} at its start`)
  );
  assert.deepEqual(wrong, []);
  const authorize = find("src/cli/login/authorize.ts");
  assert.ok(startImports(authorize!).includes("@modelcontextprotocol/client"));
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

test(`no file has more than ${MOST_LINES} lines`, () => {
  const long = [...src, ...sources("tests"), ...sources("scripts"), ...sources("bench")]
    .map(({ path, text }) => ({ path, lines: text.split("\n").length }))
    .filter(({ lines }) => lines > MOST_LINES);
  assert.deepEqual(long, []);
});

test(`src has at most ${MOST_FILES} files, and every folder keeps to its limit of code`, () => {
  assert.ok(src.length <= MOST_FILES, `src has ${src.length} files`);
  const sizes = new Map(Object.keys(MOST_CODE).map((place) => [place, 0]));
  for (const { path, text } of [...src, ...sources("src/front", /\.(?:js|css|html)$/)]) {
    const place = placeOf(path);
    assert.ok(place !== undefined, `${path} stands in no folder of the layout`);
    sizes.set(place, sizes.get(place)! + codeLines(text));
  }
  const over = [...sizes]
    .filter(([place, lines]) => lines > MOST_CODE[place]!)
    .map(([place, lines]) => `${place} has ${lines} code lines; at most ${MOST_CODE[place]}`);
  assert.deepEqual(over, []);
  const all = [...sizes.values()].reduce((sum, lines) => sum + lines, 0);
  assert.ok(all <= MOST_CODE_IN_ALL, `src has ${all} code lines; at most ${MOST_CODE_IN_ALL}`);
});

test("no file stands beside a folder of its name", () => {
  const wrong = src.map(({ path }) => path).filter((path) =>
    existsSync(join(ROOT, path.replace(/\.tsx?$/, "")))
  );
  assert.deepEqual(wrong, []);
});

test("an exported name means one thing in all of src", () => {
  const places = new Map<string, string[]>();
  for (const source of src) {
    for (const name of exportsOf(source)) {
      places.set(name, [...places.get(name) ?? [], source.path]);
    }
  }
  const twice = [...places]
    .filter(([name, paths]) => paths.length > 1 && !SHARED_NAMES.includes(name))
    .map(([name, paths]) => `${name}: ${paths.join(", ")}`);
  assert.deepEqual(twice, []);
});

test("what everybody needs is written once, in lib", () => {
  const written = src.flatMap(({ path, text }) =>
    [...withoutComments(text).matchAll(/\bfunction (valueAt|codeOf|cut|oneLine|isObject)\b/g)]
      .map((match) => `${match[1]} in ${path}`)
  );
  assert.deepEqual(written.filter((one) => !/ in src\/lib\//.test(one)), []);
  assert.equal(new Set(written.map((one) => one.split(" ")[0])).size, written.length);
});

/** Options and plain data whose members are documented one by one. */
function hasDocumentedMembers(lines: readonly string[], index: number): boolean {
  if (!/^export (?:interface|type)\s/.test(lines[index]!)) return false;
  const end = lines.findIndex((line, at) => at > index && /^[})]/.test(line));
  return lines.slice(index, end).some((line) => line.trim().startsWith("/**"));
}

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
      return documented || hasDocumentedMembers(lines, index)
        ? []
        : [`${path}:${index + 1} ${line.slice(0, 60)}`];
    });
  });
  assert.deepEqual(bare, []);
});

test("nothing cites a document that is not in the repository", () => {
  const files = [
    ...src,
    ...sources("tests"),
    ...sources("scripts"),
    ...sources("bench"),
    ...pages,
    rootFile("main.ts"),
  ].filter(({ path }) => path !== "tests/architecture.test.ts");
  const cited = files.flatMap(({ path, text }) =>
    [...text.matchAll(/\b(?:RE)?DESIGN(?:\.md)? ?§|\b[A-Z]{4,}\.md\b/g)]
      .map(([name]) => name)
      .filter((name) => !existsSync(join(ROOT, name)))
      .map((name) => `${path} cites ${name}`)
  );
  assert.deepEqual(cited, []);
});

/** `src/lib/json.ts`, `src/cli/`, `tests/world`: in backticks, as the documentation writes paths. */
const NAMED_PATH = /`((?:src|tests|scripts|bench|docs|examples|packaging|schema)\/[\w./-]*)`/g;

test("the paths the documentation names exist", () => {
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(NAMED_PATH)]
      .map((match) => match[1]!)
      .filter((named) => !existsSync(join(ROOT, named)))
      .map((named) => `${path} names ${named}`)
  );
  assert.deepEqual(missing, []);
});

test("the pages the documentation links to exist", () => {
  const missing = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1]!)
      .filter((linked) => !existsSync(resolve(ROOT, dirname(path), linked)))
      .map((linked) => `${path} links to ${linked}`)
  );
  assert.deepEqual(missing, []);
});

test("the call, step by step, exists as docs/architecture.md tells it", () => {
  const page = pages.find(({ path }) => path === "docs/architecture.md")!.text;
  const section = /^## A call, step by step\n([\s\S]*?)(?=^## )/m.exec(page)?.[1];
  assert.ok(section !== undefined, "no such section");
  const steps = [...section.matchAll(/`([\w/-]+\.ts) › (\w+)`/g)];
  assert.ok(steps.length > 4 && steps.length <= 10, `${steps.length} steps`);
  const lost = steps
    .map(([step, file, name]) => ({ step, name, source: find(`src/${file}`) }))
    .filter(({ name, source }) =>
      source === undefined ||
      !new RegExp(`\\bfunction ${name}\\b|^  (?:async )?#?${name}\\(`, "m").test(source.text)
    )
    .map(({ step }) => step);
  assert.deepEqual(lost, []);
});

function find(path: string): Source | undefined {
  return src.find((source) => source.path === path);
}
