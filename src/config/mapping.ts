/** What a layout is mapped to, and where each part of it was written. */

import type { ConfigPath } from "./issue.ts";
import type { Input } from "./tree.ts";

/** Collects the internal raw form of one file; made by one shape, read by `shape.ts`. */
export class Mapping {
  /** Settings by their internal names, as written. */
  readonly settings: Record<string, unknown> = Object.create(null);
  /** Inputs of VS Code by id. */
  readonly inputs = new Map<string, Input>();
  readonly #servers = new Map<string, unknown>();
  readonly #written = new Map<string, ConfigPath>();
  #section: unknown;

  /** A setting, and where it was written. */
  setting(name: string, value: unknown, written: ConfigPath): void {
    this.settings[name] = value;
    this.moved([name], written);
  }

  /** The section of servers when it is no object: it is kept to be complained about. */
  brokenSection(value: unknown, written: ConfigPath): void {
    this.#section = value;
    this.moved(["mcpServers"], written);
  }

  /** The section of servers, empty so far. */
  openSection(written: ConfigPath): void {
    this.#section = this.#servers;
    this.moved(["mcpServers"], written);
  }

  /** One server. */
  server(name: string, entry: unknown, written: ConfigPath): void {
    this.#servers.set(name, entry);
    this.moved(["mcpServers", name], written);
  }

  /** Whether a server of this name is there already. */
  has(name: string): boolean {
    return this.#servers.has(name);
  }

  /** Says where what is at `path` now was written. */
  moved(path: ConfigPath, written: ConfigPath): void {
    this.#written.set(JSON.stringify(path), written);
  }

  /** The path as written: that of the nearest ancestor that was mapped, and what is below. */
  written(path: ConfigPath): ConfigPath {
    for (let length = path.length; length > 0; length--) {
      const known = this.#written.get(JSON.stringify(path.slice(0, length)));
      if (known !== undefined) return [...known, ...path.slice(length)];
    }
    return path;
  }

  /** The names of the servers in the order of the file. */
  get names(): readonly string[] {
    return [...this.#servers.keys()];
  }

  /** The raw form; without `mcpServers` where the file has no such section. */
  value(): Readonly<Record<string, unknown>> {
    const value: Record<string, unknown> = Object.assign(Object.create(null), this.settings);
    if (this.#section === undefined) return value;
    value["mcpServers"] = this.#section === this.#servers
      ? fromEntries(this.#servers)
      : this.#section;
    return value;
  }
}

/** An object without a prototype, so that any key is just a key. */
export function fromEntries(
  entries: Iterable<readonly [string, unknown]>,
): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, value] of entries) {
    // A plain assignment to "__proto__" works on objects without a prototype, too.
    object[key] = value;
  }
  return object;
}
