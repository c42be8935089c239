import { rename, writeFile } from "node:fs/promises";
import { stdioUpstream } from "../behaviour/world.ts";
import type { Seeded } from "./seeded.ts";

type Servers = Record<string, Record<string, unknown>>;

/** A configuration whose servers and settings stay. */
interface Staying {
  readonly mcpServers: Servers;
}

/** Random changes of a configuration around servers that stay as they are. */
export class Edits {
  readonly #random: Seeded;
  readonly #path: string;
  readonly #staying: Staying;
  #others: Servers = {};
  #count = 0;

  constructor(path: string, staying: Staying, random: Seeded) {
    this.#path = path;
    this.#staying = staying;
    this.#random = random;
  }

  /** What the file says without any of the changes. */
  get base(): string {
    return JSON.stringify(this.#staying);
  }

  /** Makes one change; returns what it was. */
  async make(): Promise<string> {
    const [what, text] = this.#next();
    await this.#write(text);
    return what;
  }

  /** Takes back everything. */
  async undo(): Promise<void> {
    this.#others = {};
    await this.#write(this.base);
  }

  #next(): readonly [string, string] {
    const random = this.#random;
    const names = Object.keys(this.#others);
    const kind = random.pick([
      "add",
      "add",
      "remove",
      "change",
      "limit",
      "order",
      "break",
      "space",
    ]);
    if ((kind === "remove" || kind === "change" || kind === "limit") && names.length > 0) {
      const name = random.pick(names);
      if (kind === "remove") delete this.#others[name];
      else if (kind === "change") this.#others[name] = this.#server();
      else this.#others[name] = { ...this.#others[name], timeout: 1_000 + random.below(9_000) };
      return [`${kind} ${name}`, this.#text()];
    }
    switch (kind) {
      case "order":
        return ["order", this.#text(true)];
      case "break":
        return ["break", this.#text().slice(0, random.below(200) + 1)];
      case "space":
        return ["space", `// ${this.#count++}\n${this.#text()}`];
      default: {
        if (names.length >= 4) delete this.#others[random.pick(names)];
        const name = `x${this.#count++}`;
        this.#others[name] = this.#server();
        return [`add ${name}`, this.#text()];
      }
    }
  }

  #server(): Record<string, unknown> {
    const name = `n${this.#count++}`;
    const tools = this.#random.below(5) + 1;
    const slow = this.#random.chance(0.2) ? { startDelay: this.#random.below(1_000) } : {};
    if (this.#random.chance(0.1)) return { command: "/nonexistent/server", args: [name] };
    if (this.#random.chance(0.1)) return { url: "http://127.0.0.1:9/mcp" };
    return stdioUpstream({ name, tools, ...slow });
  }

  #text(reversed = false): string {
    const entries = Object.entries({ ...this.#staying.mcpServers, ...this.#others });
    if (reversed) entries.reverse();
    return JSON.stringify({ ...this.#staying, mcpServers: Object.fromEntries(entries) });
  }

  /** As `mv` does it, as an editor in place, or in two pieces. */
  async #write(text: string): Promise<void> {
    switch (this.#random.below(3)) {
      case 0:
        await writeFile(`${this.#path}.tmp`, text);
        await rename(`${this.#path}.tmp`, this.#path);
        break;
      case 1:
        await writeFile(this.#path, text);
        break;
      default:
        await writeFile(this.#path, text.slice(0, text.length / 2));
        await writeFile(this.#path, text);
    }
  }
}
