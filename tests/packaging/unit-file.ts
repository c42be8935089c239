import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The text of a file in packaging/. */
export function packaged(name: string): string {
  return readFileSync(fileURLToPath(new URL(`../../packaging/${name}`, import.meta.url)), "utf8");
}

/** One assignment of a unit file, in its order. */
export interface Setting {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** Reads a unit file (systemd.syntax(7), without continued lines). @throws {Error} for other lines */
export function parseUnit(text: string): readonly Setting[] {
  const settings: Setting[] = [];
  let section: string | undefined;
  text.split("\n").forEach((line, at) => {
    if (line === "" || line.startsWith("#")) return;
    const heading = /^\[([A-Za-z]+)\]$/.exec(line);
    const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (heading !== null) section = heading[1]!;
    else if (key !== undefined && section !== undefined && !line.endsWith("\\")) {
      settings.push({ section, key, value: value! });
    } else throw new Error(`Cannot read line ${at + 1}: found ${JSON.stringify(line)}`);
  });
  return settings;
}

/** All values of a key. */
export function valuesOf(
  settings: readonly Setting[],
  section: string,
  key: string,
): readonly string[] {
  return settings.filter((one) => one.section === section && one.key === key)
    .map(({ value }) => value);
}

/** What a key may be set to. */
export type Grammar = Readonly<Record<string, Readonly<Record<string, RegExp>>>>;

/** What is wrong with a unit by a grammar; a key that only lists may repeat is reported, too. */
export function faults(settings: readonly Setting[], grammar: Grammar): readonly string[] {
  const repeatable = /^(Environment|EnvironmentFile|LoadCredential\w*|Volume|Secret|PublishPort)$/;
  return settings.flatMap(({ section, key, value }, at) => {
    const where = `[${section}] ${key}=${value}`;
    const expected = grammar[section]?.[key];
    if (expected === undefined) return [`${where}: unknown key`];
    const again = settings.findIndex((one) => one.section === section && one.key === key) < at;
    if (again && !repeatable.test(key)) return [`${where}: set twice`];
    return expected.test(value) ? [] : [`${where}: expected ${expected}`];
  });
}

/** The same text with its commented examples (`#Key=value`, no blank between) in force. */
export function withExamples(text: string): string {
  return text.replace(/^#([A-Z]\w*=)/gm, "$1");
}
