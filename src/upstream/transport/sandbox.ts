/**
 * What a server that is kept in is started by: bubblewrap around its command, or what runs
 * containers in place of one. Loaded only for such a server.
 */

import { constants } from "node:fs";
import { access, mkdir, open, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import type { Env, Sandbox, StdioTarget } from "../../config/types.ts";
import { sha256 } from "../../lib/json.ts";
import { cacheDirectory, keptName, stateDirectory } from "../../lib/own-file.ts";
import { snippet } from "../../lib/text.ts";
import type { Runtime } from "../../runtime/types.ts";
import { ask, type Program } from "./container.ts";

/** A place inside of a sandbox, and what of this machine is there. */
export interface ShownPath {
  readonly at: string;
  /** The same without links. */
  readonly real: string;
  readonly isWritable?: boolean;
}

/** What of the gateway's own is not to be seen from inside. */
export interface Hidden {
  readonly path: string;
  /** The directory that is empty inside. */
  readonly mask: string;
}

/** What has to be known of this machine to put a program into a sandbox. */
export interface SandboxFacts {
  readonly bwrap: string;
  /** Where the program is. */
  readonly program: string;
  readonly places: readonly ShownPath[];
  readonly hidden: readonly Hidden[];
  /** What is kept for the server from one start to the next, where there is a place for it. */
  readonly home?: string;
  readonly cache?: string;
}

/** What no program does without; in `/etc` by name, for what else is there may be secret. */
const SYSTEM = [
  ...["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store"],
  ...("alternatives ca-certificates crypto-policies fonts gai.conf group host.conf hosts " +
    "ld.so.cache ld.so.conf ld.so.conf.d localtime magic mime.types nsswitch.conf os-release " +
    "passwd pki protocols resolv.conf services ssl timezone").split(" ").map((one) => `etc/${one}`),
].map((path) => `/${path}`);

/** Where a server is at home inside. Nothing above it is anything that a server can change. */
const HOME = "/tmp/home";
const CACHE = "/tmp/cache";

/**
 * What holds for every sandbox. No `--new-session`: the server is in a session without a terminal
 * already, and has to stay in the group that is stopped.
 */
const WALLS = [
  ...["--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"],
  ...["--unshare-cgroup-try", "--cap-drop", "ALL", "--die-with-parent"],
];

const wallsOf = ({ network }: Pick<Sandbox, "network">) =>
  network ? WALLS : [...WALLS, "--unshare-net"];

/** What every sandbox has of its own, and nothing of the machine can take the place of. */
const OWN = /^\/(?:(?:proc|dev)(?:$|\/)|(?:tmp|var\/tmp)$|tmp\/(?:home|cache)(?:$|\/))/;

/** Variables that say where things are outside. */
const OF_OUTSIDE = /^(?:HOME|SHELL|TMPDIR|XDG_.*)$/;

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

/**
 * The program as bubblewrap starts it; `own` is the environment it is configured to have. Values of
 * variables are on no command line. Pure.
 * @throws {Error} where something would be seen that must not be, as the end of a sentence
 */
export function sandboxed(
  { args, cwd, env }: Program,
  own: Program["env"],
  sandbox: Pick<Sandbox, "network">,
  { bwrap, program, places, hidden, home, cache }: SandboxFacts,
): Program {
  const system = SYSTEM.filter((path) =>
    !places.some(({ at, real }) => at === real && isInside(path, at))
  ).map((path) => ({ at: path, real: path }));
  const rooms = [
    { at: "/proc", words: ["--proc"] },
    { at: "/dev", words: ["--dev"] },
    ...["/tmp", "/var/tmp"].map((at) => ({ at, words: ["--tmpfs"] })),
    { at: HOME, words: home === undefined ? ["--tmpfs"] : ["--bind", home] },
    { at: CACHE, words: cache === undefined ? ["--tmpfs"] : ["--bind", cache] },
    ...[...system, ...places].flatMap((place) => roomsOf(place, places, hidden)),
  ];
  const depth = ({ at }: { readonly at: string }) => at === "/" ? 0 : at.split("/").length;
  const inherited = Object.entries(env).filter(([name]) => !OF_OUTSIDE.test(name));
  return {
    command: bwrap,
    args: [
      ...wallsOf(sandbox),
      ...rooms.toSorted((a, b) => depth(a) - depth(b)).flatMap(({ at, words }) => [...words, at]),
      ...["--remount-ro", "/", "--chdir", cwd ?? HOME, "--", program, ...args],
    ],
    env: {
      ...Object.fromEntries(inherited),
      ...{ HOME, XDG_CACHE_HOME: CACHE },
      // Else npx and uvx ask for newer versions of what they have, for minutes.
      ...(sandbox.network ? {} : { npm_config_offline: "true", UV_OFFLINE: "1" }),
      ...own,
    },
  };
}

/** A place, and the masks before what must not be seen in it. */
function roomsOf(
  { at, real, isWritable = false }: ShownPath,
  places: readonly ShownPath[],
  hidden: readonly Hidden[],
) {
  if (OWN.test(at) || OWN.test(real)) {
    throw new Error(`it cannot be given ${at}: each sandbox has one of its own`);
  }
  // Whoever may write there can let it lead anywhere until the next start.
  const outer = places.find((one) => one.isWritable && one.at !== at && isInside(at, one.at));
  if (outer !== undefined && at !== real) {
    throw new Error(
      `it cannot be given ${at}: it is a link below ${outer.at}, which it may change`,
    );
  }
  const covered = notItsOwn(at, real, hidden);
  // And can move something from behind its mask.
  const bare = covered.find(({ mask }) => isWritable || mask === real || !isInside(mask, real));
  if (bare !== undefined) throw new Error(coversText(at, bare));
  return [
    { at, words: [isWritable ? "--bind" : "--ro-bind-try", real] },
    ...[...new Set(covered.map(({ mask }) => mask))].map((mask) => ({
      at: join(at, mask.slice(real.length)),
      words: ["--tmpfs"],
    })),
  ];
}

const coversText = (at: string, { path }: Hidden) =>
  `it cannot be given ${at}: ${path} is in it, which is the gateway's own; name narrower paths`;

/**
 * What is hidden and in this place.
 * @throws {Error} where the place is in something that is hidden
 */
function notItsOwn(at: string, real: string, hidden: readonly Hidden[]): readonly Hidden[] {
  // The home of servers that are not kept in is in the state directory of a system service.
  const outer = hidden.find(({ path }) =>
    path !== real && isInside(real, path) && !isInside(real, join(path, "home"))
  );
  if (outer !== undefined) {
    throw new Error(`it cannot be given ${at}: it is in ${outer.path}, which is the gateway's own`);
  }
  return hidden.filter(({ path }) => isInside(path, real));
}

/** Variables by which people steer what runs containers. */
const STEERS = /^(?:PATH|HOME|TMPDIR|(?:LD|XDG|DOCKER|CONTAINERS?|PODMAN|SSH)_.*)$/i;

/**
 * How an image is run by `client`, whose own environment is `env`. Pure.
 * @throws {Error} where a variable of the container would mean something to the client
 */
export function imageProgram(
  client: string,
  { command, args, env: own, image = { mounts: [], network: false } }: StdioTarget,
  env: Program["env"],
): Program {
  const odd = Object.keys(own).find((name) => STEERS.test(name) || !/^\w[\w.-]*$/.test(name));
  if (odd !== undefined) {
    throw new Error(
      `its container cannot be given ${odd}, which steers ${client}: set it in the image`,
    );
  }
  return {
    command: client,
    args: [
      ...["run", "-i", "--rm", "--init", "--pull=missing"],
      ...(image.network ? [] : ["--network=none"]),
      ...Object.keys(own).flatMap((name) => ["-e", name]),
      ...image.mounts.flatMap((mount) => ["-v", mount]),
      ...[command, ...args],
    ],
    env: { ...env, ...own },
  };
}

/** What a server that is kept in is started on. */
export interface Machine {
  readonly platform: string;
  readonly env: Env;
  readonly runtime: Pick<Runtime, "spawn">;
}

/**
 * What starts a server that is kept in. `program` is its command with all of its environment.
 * @throws {Error} where it cannot be kept in, as the end of a sentence about it
 */
export async function keptIn(
  server: string,
  target: StdioTarget,
  program: Program,
  machine: Machine,
): Promise<Program> {
  const { sandbox, image, hidden: files = [] } = target;
  const { env } = machine;
  const hidden = await hiddenOf(env, files);
  if (image !== undefined || sandbox === undefined) {
    for (const mount of image?.mounts ?? []) {
      const [source = ""] = mount.split(":");
      if (!source.startsWith("/")) continue;
      const [covered] = notItsOwn(source, await existing(source), hidden);
      if (covered !== undefined) throw new Error(coversText(source, covered));
    }
    return imageProgram(await clientOf(machine), target, clientEnv(program.env, machine));
  }
  const bwrap = await bwrapOf(sandbox, machine);
  const { PATH } = program.env;
  const command = await find(program.command, PATH, program.cwd);
  if (command === undefined) {
    throw new Error(
      `found no program "${program.command}" on the PATH of its environment, ${PATH}`,
    );
  }
  const cwd = program.cwd && resolve(program.cwd);
  // It may be written to all the same.
  const isRead = cwd && !sandbox.write.some((path) => isInside(cwd, resolve(path)));
  const kept = await keptFor(server, env);
  for (const path of Object.values(kept)) await mkdir(path, { recursive: true, mode: 0o700 });
  return sandboxed({ ...program, cwd }, target.env, sandbox, {
    bwrap,
    program: command,
    ...kept,
    places: [
      ...await programPlaces(command, PATH, env["HOME"]),
      ...await placesOf(isRead ? [cwd, ...sandbox.read] : sandbox.read, false),
      ...await placesOf(sandbox.write, true),
    ],
    hidden,
  });
}

/** What is kept for a server from one start to the next, where there are places for it. */
export async function keptFor(
  server: string,
  env: Env,
): Promise<Pick<SandboxFacts, "home" | "cache">> {
  const name = keptName(server, await sha256(new TextEncoder().encode(server)), "");
  const [state, cache] = [stateDirectory(env), cacheDirectory(env)];
  return {
    ...(state === undefined ? {} : { home: join(state, "sandbox", name, "home") }),
    ...(cache === undefined ? {} : { cache: join(cache, "sandbox", name, "cache") }),
  };
}

/** The gateway's own directories and files, as they are called and where they are. */
async function hiddenOf(env: Env, files: readonly string[]): Promise<readonly Hidden[]> {
  const hidden: Hidden[] = [];
  const kept = [stateDirectory(env), cacheDirectory(env)].filter((path) => path !== undefined);
  // They will be there as soon as something is kept.
  for (const path of kept) await mkdir(path, { recursive: true, mode: 0o700 }).catch(() => {});
  for (const file of [...kept, ...files.map((one) => resolve(one))]) {
    const path = await realpath(file).catch(() => undefined);
    const isDirectory = path && await stat(path).then((one) => one.isDirectory(), () => false);
    if (isDirectory) {
      hidden.push({ path, mask: path });
      continue;
    }
    const mask = await realpath(dirname(file)).catch(() => undefined);
    if (mask === undefined) continue;
    hidden.push({ path: join(mask, basename(file)), mask });
    if (path !== undefined && dirname(path) !== mask) hidden.push({ path, mask: dirname(path) });
  }
  return hidden;
}

function placesOf(paths: readonly string[], isWritable: boolean): Promise<ShownPath[]> {
  return Promise.all(paths.map(async (path) => {
    const at = resolve(path);
    return { at, real: await existing(at), isWritable };
  }));
}

async function existing(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw new Error(`it cannot be given ${path}: it is missing, or not to be read`, {
      cause: error,
    });
  }
}

/** Links and interpreters that are followed from a program. */
const MOST_HOPS = 16;

/** Where a program is with what it consists of, its interpreter, and all that links lead through. */
async function programPlaces(
  program: string,
  path: string | undefined,
  home = "/root",
): Promise<ShownPath[]> {
  const files = new Set([program]);
  // A set goes on with what is added meanwhile.
  for (const file of files) {
    if (files.size > MOST_HOPS) break;
    const link = await readlink(file).catch(() => undefined);
    const next = link === undefined
      ? await interpreterOf(file, path)
      : resolve(dirname(file), link);
    if (next !== undefined) files.add(next);
  }
  const roots = new Set([...files].flatMap((file) => rootsOf(file, home)));
  const places = [...roots].map(async (at) => {
    const real = await realpath(at).catch(() => undefined);
    return real === undefined ? [] : [{ at, real }];
  });
  return (await Promise.all(places)).flat();
}

/** What belongs to a program, by where it is. */
function rootsOf(file: string, home: string): readonly string[] {
  const directory = dirname(file);
  // Beside it is everything its user has, or what everybody puts there.
  if (isInside(home, directory) || OWN.test(directory)) return [file];
  const modules = /^.*?\/node_modules(?=\/)/.exec(file);
  if (modules !== null) return [modules[0]];
  if (basename(directory) !== "bin") return [directory];
  const prefix = dirname(directory);
  return [directory, ...["lib", "lib64", "pyvenv.cfg"].map((name) => join(prefix, name))];
}

/** The program that the first line of a script names. */
async function interpreterOf(file: string, path: string | undefined): Promise<string | undefined> {
  const handle = await open(file).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(512), 0, 512, 0);
    const line = new TextDecoder().decode(buffer.subarray(0, bytesRead)).split("\n", 1)[0]!;
    const [name, ...words] = line.replace(/^#! */, "").trim().split(/\s+/);
    if (!line.startsWith("#!") || name === undefined) return undefined;
    if (basename(name) !== "env") return await find(name, path);
    const called = words.find((word) => !/^-|=/.test(word));
    return called === undefined ? undefined : await find(called, path);
  } finally {
    await handle.close();
  }
}

/** Where a program is. */
async function find(
  name: string,
  path: string | undefined,
  cwd = process.cwd(),
): Promise<string | undefined> {
  const directories = name.includes("/") ? [cwd] : (path ?? "").split(":").filter((one) => one);
  for (const file of directories.map((directory) => resolve(cwd, directory, name))) {
    const isProgram = await access(file, constants.X_OK).then(() => stat(file)).then(
      (found) => found.isFile(),
      () => false,
    );
    if (isProgram) return file;
  }
  return undefined;
}

/** What a bwrap that was tried has complained of; one that works is not tried again. */
const tried = new Map<string, Promise<string | undefined>>();

/**
 * A bwrap that works.
 * @throws {Error} where there is none, with the reason
 */
export async function bwrapOf(
  sandbox: Pick<Sandbox, "network">,
  { platform, env, runtime }: Machine,
): Promise<string> {
  if (platform !== "linux") {
    throw new Error(`it cannot be put into a sandbox: found ${platform}, expected Linux`);
  }
  const bwrap = await find("bwrap", `${env["PATH"] ?? ""}:/usr/bin`);
  if (bwrap === undefined) {
    throw new Error("it cannot be put into a sandbox: there is no bwrap; install bubblewrap");
  }
  const rooms = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  const args = [...wallsOf(sandbox), ...rooms, "--", bwrap, "--version"];
  const key = JSON.stringify([bwrap, args]);
  const complaint = await tried.getOrInsertComputed(key, async () => {
    const { isDone, complaint } = await ask({ command: bwrap, args, env: {} }, runtime);
    return isDone ? undefined : complaint.trim() || "it does not end well";
  });
  if (complaint === undefined) return bwrap;
  // Somebody may mend it meanwhile.
  tried.delete(key);
  throw new Error(
    `it cannot be put into a sandbox: ${bwrap} does not work here (${snippet(complaint, 300)}); ` +
      "a hardened unit needs packaging/mcproxy-sandbox.conf, other machines docs/security.md",
  );
}

/**
 * What runs containers here.
 * @throws {Error} where nothing does
 */
export async function clientOf({ env }: Pick<Machine, "env">): Promise<string> {
  const client = await find("podman", env["PATH"]) ?? await find("docker", env["PATH"]);
  if (client !== undefined) return client;
  throw new Error(
    "its image cannot be run: found neither podman nor docker on the PATH of the gateway",
  );
}

/** What podman and docker are told by people stays with them: the container gets its own. */
function clientEnv(inherited: Program["env"], { env }: Machine): Program["env"] {
  const told = Object.entries(env).filter((entry): entry is [string, string] =>
    /^(?:DOCKER|CONTAINERS?)_/.test(entry[0]) && entry[1] !== undefined
  );
  return { ...inherited, ...Object.fromEntries(told) };
}
