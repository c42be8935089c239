/**
 * What a server that is kept in is started by: bubblewrap around its command, or what runs
 * containers in place of one. Loaded only for such a server.
 */

import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import type { Env, Sandbox, StdioTarget } from "../../config/types.ts";
import { attempt, nodeCrypto } from "../../lib/json.ts";
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
  readonly network: boolean;
  readonly places: readonly ShownPath[];
  readonly hidden: readonly Hidden[];
  /** What is kept for the server from one start to the next, where there is a place for it. */
  readonly home?: string | undefined;
  readonly cache?: string | undefined;
}

/** What no program does without; in `/etc` by name, for what else is there may be secret. */
const SYSTEM = [
  ...["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store"],
  ...("alternatives ca-certificates crypto-policies fonts gai.conf group host.conf hosts " +
    "ld.so.cache ld.so.conf ld.so.conf.d localtime magic mime.types nsswitch.conf os-release " +
    "passwd pki protocols resolv.conf services ssl timezone").split(" ").map((one) => `etc/${one}`),
].map((path) => ({ at: `/${path}`, real: `/${path}` }));

/** Where a server is at home inside. Nothing above it is anything that a server can change. */
const HOME = "/tmp/home";
const CACHE = "/tmp/cache";

/**
 * What holds for every sandbox. No `--new-session`: the server is in a session without a terminal
 * already, and has to stay in the group that is stopped.
 */
const wallsOf = (network: boolean) =>
  ("--unshare-user-try --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try " +
    `--cap-drop ALL --die-with-parent${network ? "" : " --unshare-net"}`).split(" ");

/** What every sandbox has of its own, and nothing of the machine can take the place of. */
const OWN = /^\/(?:(?:proc|dev)(?:$|\/)|(?:tmp|var\/tmp)$|tmp\/(?:home|cache)(?:$|\/))/;

/** Directories of the gateway's own. */
const PRIVATE = { recursive: true, mode: 0o700 };

/** Variables that say where things are outside. */
const OF_OUTSIDE = /^(?:HOME|SHELL|TMPDIR|XDG_.*)$/;

function fail(why: string): never {
  throw new Error(why);
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

/**
 * The program as bubblewrap starts it; `own` is the environment it is configured to have. Values of
 * variables are on no command line. Pure.
 * @throws {Error} where something would be seen that must not be, as the end of a sentence
 */
export function sandboxed(
  { command, args, cwd = HOME, env }: Program,
  own: Program["env"],
  facts: SandboxFacts,
): Program {
  const { bwrap, network, places, home, cache } = facts;
  const system = SYSTEM.filter((part) =>
    !places.some(({ at, real }) => at === real && isInside(part.at, at))
  );
  const rooms = [
    ...[["--proc", "/proc"], ["--dev", "/dev"], ["--tmpfs", "/tmp"], ["--tmpfs", "/var/tmp"]],
    home === undefined ? ["--tmpfs", HOME] : ["--bind", home, HOME],
    cache === undefined ? ["--tmpfs", CACHE] : ["--bind", cache, CACHE],
    ...[...system, ...places].flatMap((place) => roomsOf(place, facts)),
  ];
  const depth = (room: readonly string[]) => room.at(-1)!.split(/\/(?=.)/).length;
  const inherited = Object.entries(env).filter(([name]) => !OF_OUTSIDE.test(name));
  return {
    command: bwrap,
    args: [
      ...wallsOf(network),
      // What is deeper comes over what it is in.
      ...rooms.toSorted((a, b) => depth(a) - depth(b)).flat(),
      ...["--remount-ro", "/", "--chdir", cwd, "--", command, ...args],
    ],
    env: {
      ...Object.fromEntries(inherited),
      ...{ HOME, XDG_CACHE_HOME: CACHE },
      // Else npx and uvx ask for newer versions of what they have, for minutes.
      ...(network ? {} : { npm_config_offline: "true", UV_OFFLINE: "1" }),
      ...own,
    },
  };
}

/** A place, and the masks before what must not be seen in it. */
function roomsOf(place: ShownPath, { places, hidden }: SandboxFacts): string[][] {
  const { at, real, isWritable } = place;
  const isOwn = OWN.test(at) || OWN.test(real);
  if (isOwn) fail(`it cannot be given ${at}: each sandbox has one of its own`);
  // Whoever may write there can let it lead anywhere until the next start.
  const isLoose = (one: ShownPath) => one.isWritable && one.at !== at && isInside(at, one.at);
  const outer = at === real ? undefined : places.find(isLoose)?.at;
  if (outer) fail(`it cannot be given ${at}: it is a link below ${outer}, which it may change`);
  return [
    [isWritable ? "--bind" : "--ro-bind-try", real, at],
    ...masksIn(place, hidden).map((mask) => ["--tmpfs", join(at, mask.slice(real.length))]),
  ];
}

/**
 * The directories in a place that have to be empty, so that nothing hidden is seen there.
 * @throws {Error} where the place is in what is hidden, or that cannot be made sure of
 */
function masksIn({ at, real, isWritable }: ShownPath, hidden: readonly Hidden[]): string[] {
  // The home of servers that are not kept in is in the state directory of a system service.
  const outer = hidden.find(({ path }) =>
    path !== real && isInside(real, path) && !isInside(real, join(path, "home"))
  );
  if (outer) fail(`it cannot be given ${at}: it is in ${outer.path}, which is the gateway's own`);
  const covered = hidden.filter(({ path }) => isInside(path, real));
  // Whoever may write there could move something from behind its mask.
  const bare = covered.find(({ mask }) => isWritable || mask === real || !isInside(mask, real));
  if (bare === undefined) return [...new Set(covered.map(({ mask }) => mask))];
  return fail(
    `it cannot be given ${at}: ${bare.path} is in it, which is the gateway's own; name narrower paths`,
  );
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
  if (odd) {
    fail(`its container cannot be given ${odd}, which steers ${client}: set it in the image`);
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
  const { sandbox, image, env: own } = target;
  const { env } = machine;
  const hidden = hiddenOf(env, target.hidden ?? []);
  if (sandbox === undefined) {
    const sources = (image?.mounts ?? []).flatMap((mount) => /^\/[^:]*/.exec(mount) ?? []);
    // Nothing is masked in a container, so as if it could be changed.
    for (const place of placesOf(sources, true)) masksIn(place, hidden);
    const told = Object.entries(env).filter(([name]) => /^(?:DOCKER|CONTAINERS?)_/.test(name));
    const outside = { ...program.env, ...Object.fromEntries(told) } as Program["env"];
    return imageProgram(clientOf(machine), target, outside);
  }
  const { PATH } = program.env;
  const command = find(program.command, PATH, program.cwd) ??
    fail(`found no program "${program.command}" on the PATH of its environment, ${PATH}`);
  const cwd = program.cwd && resolve(program.cwd);
  const read = [...rootsOf(command, PATH, env["HOME"]), ...sandbox.read];
  // Else it may be written to.
  if (cwd && !sandbox.write.some((path) => isInside(cwd, resolve(path)))) read.push(cwd);
  const kept = keptFor(server, env);
  for (const path of Object.values(kept)) if (path) mkdirSync(path, PRIVATE);
  return sandboxed({ ...program, command, cwd }, own, {
    ...kept,
    bwrap: await bwrapOf(sandbox, machine),
    network: sandbox.network,
    places: [...placesOf(read, false), ...placesOf(sandbox.write, true)],
    hidden,
  });
}

/** Where the things of a server are that it finds again. */
export function keptFor(server: string, env: Env): Pick<SandboxFacts, "home" | "cache"> {
  const own = join("sandbox", keptName(server, nodeCrypto().hash("sha256", server, "hex"), ""));
  const [state, cache] = [stateDirectory(env), cacheDirectory(env)];
  return { home: state && join(state, own, "home"), cache: cache && join(cache, own, "cache") };
}

/** The gateway's own directories and files, as they are called and where they are. */
function hiddenOf(env: Env, files: readonly string[]): readonly Hidden[] {
  const kept = [stateDirectory(env), cacheDirectory(env)].flatMap((path) => path ?? []);
  // They will be there as soon as something is kept.
  for (const path of kept) attempt(() => mkdirSync(path, PRIVATE));
  const paths = [...kept, ...files].flatMap((file) => [
    attempt(() => join(realpathSync(dirname(resolve(file))), basename(file))) ?? [],
    attempt(() => realpathSync(file)) ?? [],
  ]);
  const isDirectory = (path: string) => attempt(() => lstatSync(path).isDirectory());
  return paths.flat().map((path) => ({ path, mask: isDirectory(path) ? path : dirname(path) }));
}

/** @throws {Error} where there is none */
function placesOf(paths: readonly string[], isWritable: boolean): ShownPath[] {
  return paths.map((path) => {
    const at = resolve(path);
    const real = attempt(() => realpathSync(at)) ??
      fail(`it cannot be given ${at}: it is missing, or not to be read`);
    return { at, real, isWritable };
  });
}

/** Where a program is with what it consists of, its interpreter, and all that links lead through. */
function rootsOf(program: string, path: string | undefined, home = "/root"): readonly string[] {
  const files = new Set([program]);
  // A set goes on with what is added meanwhile. No honest program has so many.
  for (const file of files) {
    if (files.size <= 16) leadsTo(file, path).forEach((next) => files.add(next));
  }
  const roots = [...files].flatMap((file) => {
    const directory = dirname(file);
    // Beside it is everything its user has, or what everybody puts there.
    if (isInside(home, directory) || OWN.test(directory)) return [file];
    const modules = /^.*?\/node_modules(?=\/)/.exec(file);
    if (modules !== null) return [modules[0]];
    if (basename(directory) !== "bin") return [directory];
    return [".", "../lib", "../lib64", "../pyvenv.cfg"].map((one) => join(directory, one));
  });
  return [...new Set(roots)].filter(existsSync);
}

/** What a link leads to; of a script, the programs in its first line. */
function leadsTo(file: string, path: string | undefined): readonly string[] {
  const link = attempt(() => readlinkSync(file));
  if (link !== undefined) return [resolve(dirname(file), link)];
  const [, line = ""] = /^#!([^\n\0]*)/.exec(attempt(() => headOf(file)) ?? "") ?? [];
  return line.split(/\s+/).flatMap((word) => find(word, path) ?? []);
}

function headOf(file: string): string {
  const [descriptor, head] = [openSync(file, "r"), new Uint8Array(512)];
  attempt(() => readSync(descriptor, head));
  closeSync(descriptor);
  return new TextDecoder().decode(head);
}

/** Where a program is. */
function find(name: string, path = "", cwd = process.cwd()): string | undefined {
  const directories = name.includes("/") ? [cwd] : path.split(":").filter((one) => one !== "");
  return directories.map((directory) => resolve(cwd, directory, name)).find((file) => {
    const found = attempt(() => statSync(file));
    return found?.isFile() && (found.mode & 0o111) !== 0;
  });
}

/** Trials that went well; one that did not may go well later, when somebody has mended it. */
const working = new Set<string>();
/** How long one may take on a busy machine. */
const TRIAL_MS = 30_000;

/**
 * A bwrap that works.
 * @throws {Error} where there is none, with the reason
 */
export async function bwrapOf(
  { network }: Pick<Sandbox, "network">,
  { platform, env, runtime }: Machine,
): Promise<string> {
  const bwrap = platform === "linux"
    ? find("bwrap", `${env["PATH"] ?? ""}:/usr/bin`)
    : fail(`it cannot be put into a sandbox: found ${platform}, expected Linux`);
  if (!bwrap) fail("it cannot be put into a sandbox: there is no bwrap; install bubblewrap");
  const rooms = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  const args = [...wallsOf(network), ...rooms, "--", bwrap, "--version"];
  const key = args.join(" ");
  if (working.has(key)) return bwrap;
  const { isDone, complaint } = await ask({ command: bwrap, args, env: {} }, runtime, TRIAL_MS);
  if (isDone) working.add(key);
  if (isDone) return bwrap;
  const said = snippet(complaint.trim(), 300) || "it does not end well";
  return fail(
    `it cannot be put into a sandbox: ${bwrap} does not work here (${said}); ` +
      "a hardened unit needs packaging/mcproxy-sandbox.conf, other machines docs/security.md",
  );
}

/**
 * What runs containers here.
 * @throws {Error} where nothing does
 */
export function clientOf({ env }: Pick<Machine, "env">): string {
  return find("podman", env["PATH"]) ?? find("docker", env["PATH"]) ??
    fail("its image cannot be run: found neither podman nor docker on the PATH of the gateway");
}
