/**
 * The input of a golden case with files of its own: lines `load:`, `env:` and `credentials:`, then
 * sections `>>> name` with the content of a file, `>>> name 0644` with its mode, `>>> name -> target`
 * for a link, `>>> name/` for a directory, `>>> name * 5000` for that many spaces.
 */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { loadConfig, type LoadResult } from "../../src/config/load.ts";

/** What a case asks for. */
interface Case {
  readonly load: readonly string[];
  readonly env: Record<string, string>;
  readonly credentials?: string;
}

/** The result of loading, with `DIR` for the directory of the case. */
export interface GoldenLoad {
  readonly result: LoadResult;
  /** Replaces the directory. */
  readonly shorten: (text: string) => string;
}

/** Writes the files, loads them, and removes them. */
export async function loadGolden(
  input: string,
  baseEnv: Readonly<Record<string, string>>,
): Promise<GoldenLoad> {
  const directory = mkdtempSync(join(tmpdir(), "mcproxy-golden-"));
  try {
    const [head = "", ...sections] = input.split(/^>>> /m);
    for (const section of sections) write(directory, section);
    const { load, env, credentials } = readHead(head, directory);
    const result = await loadConfig(load.map((name) => join(directory, name)), {
      env: { ...baseEnv, ...env },
      cwd: directory,
      credentials,
    });
    return { result, shorten: (text) => text.replaceAll(directory, "DIR") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readHead(head: string, directory: string): Case {
  const env: Record<string, string> = {};
  let load: readonly string[] = ["."];
  let credentials: string | undefined;
  for (const line of head.split("\n").filter((one) => one !== "")) {
    const [, kind, value = ""] = /^(\w+): (.*)$/.exec(line) ?? [];
    if (kind === "load") load = value.split(" ");
    else if (kind === "credentials") credentials = value;
    else if (kind === "env") {
      const at = value.indexOf("=");
      env[value.slice(0, at)] = value.slice(at + 1).replaceAll("DIR", directory);
    } else throw new Error(`Cannot read the head of a golden case: found ${JSON.stringify(line)}`);
  }
  return { load, env, ...(credentials === undefined ? {} : { credentials }) };
}

function write(directory: string, section: string): void {
  const [header = "", ...lines] = section.split("\n");
  const [name = "", ...words] = header.split(" ");
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  if (name.endsWith("/")) return void mkdirSync(path, { recursive: true });
  if (words[0] === "->") return symlinkSync(words[1] ?? "", path);
  const content = words[0] === "*" ? " ".repeat(Number(words[1])) : lines.join("\n");
  writeFileSync(path, content);
  const mode = words[0]?.startsWith("0") === true ? Number.parseInt(words[0], 8) : 0o600;
  // Root reads everything: a case about rights must not depend on who runs it.
  if (mode !== 0 || process.getuid?.() !== 0) chmodSync(path, mode);
}
