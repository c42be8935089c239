/** A home with the files of clients in it. */

import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { clientFiles, CLIENTS, findClient } from "../../../src/cli/clients/clients.ts";

const GOLDEN = new URL("../../golden/clients/", import.meta.url);

/** The file of a client as it is in the world. */
export async function golden(client: string): Promise<string> {
  const ending = findClient(client)?.format ?? "json";
  return await readFile(new URL(`${client}.${ending}`, GOLDEN), "utf8");
}

/** A home of its own, and what a command is run with to be in it. */
export interface Home {
  readonly directory: string;
  readonly options: { readonly env: Record<string, string>; readonly cwd: string };
  /** The first file of a client. */
  file(client: string): string;
  /** Writes a file with its folders. */
  write(path: string, text: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A home in which these clients have the files of `tests/golden/clients`. */
export async function homeWith(clients: readonly string[] = []): Promise<Home> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "mcproxy-home-")));
  const cwd = join(directory, "work");
  const { platform } = process;
  const env = { HOME: directory, XDG_CONFIG_HOME: join(directory, ".config") };
  const files = clientFiles(CLIENTS, { platform, env, cwd, home: directory });
  const home: Home = {
    directory,
    options: { env, cwd },
    file: (name) => files.find(({ client }) => client.name === name)!.path,
    async write(path, text) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
  await mkdir(cwd);
  for (const name of clients) await home.write(home.file(name), await golden(name));
  return home;
}
