/**
 * What a server that is kept in is started by: bubblewrap around its command, or what runs
 * containers in place of one. Loaded only for such a server.
 */

import fs from "node:fs";
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
  /** The links and programs that lead there, as they are called without links. */
  readonly by?: readonly string[];
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
    "passwd pki/ca-trust pki/java pki/tls/cert.pem pki/tls/certs pki/tls/openssl.cnf " +
    "protocols resolv.conf services ssl/ca-bundle.pem ssl/cert.pem ssl/certs ssl/openssl.cnf " +
    "timezone").split(" ").map((one) => `etc/${one}`),
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
  { bwrap, network, places, hidden, home, cache }: SandboxFacts,
): Program {
  const system = SYSTEM.filter((part) =>
    !places.some(({ at, real }) => at === real && isInside(part.at, at))
  );
  const rooms = [
    ...[["--proc", "/proc"], ["--dev", "/dev"], ["--tmpfs", "/tmp"], ["--tmpfs", "/var/tmp"]],
    home === undefined ? ["--tmpfs", HOME] : ["--bind", home, HOME],
    cache === undefined ? ["--tmpfs", CACHE] : ["--bind", cache, CACHE],
    ...[...system, ...places].flatMap((place) => roomsOf(place, hidden, places)),
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
function roomsOf(place: ShownPath, hidden: readonly Hidden[], places: readonly ShownPath[]) {
  const { at, real, isWritable } = place;
  const isOwn = OWN.test(at) || OWN.test(real);
  if (isOwn) fail(`it cannot be given ${at}: each sandbox has one of its own`);
  return [
    [isWritable ? "--bind" : "--ro-bind-try", real, at],
    ...masksIn(place, hidden, places).map((mask) => ["--tmpfs", join(at, mask.slice(real.length))]),
  ];
}

/**
 * The directories in a place that have to be empty, so that nothing hidden is seen there.
 * @throws {Error} where the place is in what is hidden, or that cannot be made sure of, and where
 *   the server itself may say, until its next start, what the place is
 */
function masksIn(place: ShownPath, hidden: readonly Hidden[], places: readonly ShownPath[]) {
  const { at, real, by = [], isWritable } = place;
  const own = by.find((path) => places.some((one) => one.isWritable && isInside(path, one.real)));
  if (own) fail(`it cannot be given ${at}: it may change ${own}, which leads there`);
  // The home of servers that are not kept in is in the state directory of a system service.
  const isBelow = (path: string) => (one: string) =>
    one.startsWith(`${path}/`) && !isInside(one, join(path, "home"));
  const outer = hidden.find(({ path }) => [real, ...by].some(isBelow(path)));
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
  if (odd) fail(`its container cannot have ${odd}, which steers ${client}: set it in the image`);
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
    const mounts = image?.mounts.filter((mount) => mount.startsWith("/")) ?? [];
    const places = mounts.map((one) => placeOf(one.split(":")[0]!, !/:[^/]*ro/.test(one)));
    // Nothing is masked in a container, so as if it could be changed.
    for (const one of places) masksIn({ ...one, isWritable: true }, hidden, places);
    const told = Object.entries(env).filter(([name]) => /^(?:DOCKER|CONTAINERS?)_/.test(name));
    const outside = { ...program.env, ...Object.fromEntries(told) } as Program["env"];
    return imageProgram(clientOf(machine), target, outside);
  }
  const { PATH } = program.env;
  const command = find(program.command, PATH, program.cwd) ??
    fail(`found no program "${program.command}" on the PATH of its environment, ${PATH}`);
  const cwd = program.cwd && resolve(program.cwd);
  const write = sandbox.write.map((path) => placeOf(path, true));
  // Else it may be written to.
  const start = cwd && !write.some(({ at }) => isInside(cwd, at)) ? [cwd] : [];
  const given = [...[...sandbox.read, ...start].map((path) => placeOf(path)), ...write];
  const kept = keptFor(server, env);
  for (const path of Object.values(kept)) if (path) fs.mkdirSync(path, PRIVATE);
  return sandboxed({ ...program, command, cwd }, own, {
    ...kept,
    bwrap: await bwrapOf(sandbox, machine),
    network: sandbox.network,
    places: [...rootsOf(partsOf(command, PATH), given, env["HOME"]), ...given],
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
  for (const path of kept) attempt(() => fs.mkdirSync(path, PRIVATE));
  const paths = [...kept, ...files].flatMap((file) => [
    attempt(() => join(fs.realpathSync(dirname(resolve(file))), basename(file))) ?? [],
    attempt(() => fs.realpathSync(file)) ?? [],
  ]);
  const isDirectory = (path: string) => attempt(() => fs.lstatSync(path).isDirectory());
  return paths.flat().map((path) => ({ path, mask: isDirectory(path) ? path : dirname(path) }));
}

/** @throws {Error} where there is none */
function placeOf(path: string, isWritable = false): Required<ShownPath> {
  const [at, by] = [resolve(path), [] as string[]];
  const real = followed(at, "/", by);
  if (!fs.existsSync(real)) fail(`it cannot be given ${at}: it is missing, or not to be read`);
  return { at, real, by, isWritable };
}

/** Where a path leads from a directory; the links on the way are added to `by`. */
function followed(path: string, from: string, by: string[]): string {
  return path.split("/").reduce((real, word) => {
    const next = resolve(real, word);
    const link = attempt(() => fs.readlinkSync(next));
    // The system follows no more than 40, either.
    return link === undefined || by.push(next) > 40 ? next : followed(link, real, by);
  }, path.startsWith("/") ? "/" : from);
}

/** A program, its interpreter, and all that links lead through, by name. */
function partsOf(file: string, path: string | undefined, parts = new Map<string, string[]>()) {
  // No honest program has so many.
  if (parts.has(file) || parts.size > 15 || !fs.existsSync(file)) return parts;
  const { real, by } = placeOf(file);
  parts.set(file, [real, ...by]);
  for (const next of leadsTo(file, path)) partsOf(next, path, parts);
  return parts;
}

/**
 * Where the parts of a program are with what they consist of, unless that is given anyway; nothing
 * of that is to be where the server may change one of the parts.
 */
function rootsOf(parts: Map<string, string[]>, given: readonly ShownPath[], home = "/root") {
  const roots = [...parts.keys()].flatMap((file) => {
    const directory = dirname(file);
    // Beside it is everything its user has, or what everybody puts there.
    if (isInside(home, directory) || OWN.test(directory)) return [file];
    const modules = /^.*?\/node_modules(?=\/)/.exec(file);
    if (modules !== null) return [modules[0]];
    if (basename(directory) !== "bin") return [directory];
    return [".", "../lib", "../lib64", "../pyvenv.cfg"].map((one) => join(directory, one));
  });
  const [seen, ways] = [[...SYSTEM, ...given], [...parts.values()].flat()];
  const isSeen = ({ at, real }: ShownPath) =>
    seen.some((one) => isInside(at, one.at)) && seen.some((one) => isInside(real, one.real));
  return [...new Set(roots)].filter(fs.existsSync).map((root) => placeOf(root))
    .filter((root) => !isSeen(root)).map((root) => ({ ...root, by: [...root.by, ...ways] }));
}

/** What a link leads to; of a script, the programs in its first line. */
function leadsTo(file: string, path: string | undefined): readonly string[] {
  const link = attempt(() => fs.readlinkSync(file));
  if (link !== undefined) return [resolve(dirname(file), link)];
  const [, line = ""] = /^#!([^\n\0]*)/.exec(attempt(() => headOf(file)) ?? "") ?? [];
  return line.split(/\s+/).flatMap((word) => find(word, path) ?? []);
}

function headOf(file: string): string {
  const [descriptor, head] = [fs.openSync(file, "r"), new Uint8Array(512)];
  attempt(() => fs.readSync(descriptor, head));
  fs.closeSync(descriptor);
  return new TextDecoder().decode(head);
}

/** Where a program is. */
function find(name: string, path = "", cwd = process.cwd()): string | undefined {
  const directories = name.includes("/") ? [cwd] : path.split(":").filter((one) => one !== "");
  return directories.map((directory) => resolve(cwd, directory, name)).find((file) => {
    const found = attempt(() => fs.statSync(file));
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
export async function bwrapOf(box: Pick<Sandbox, "network">, machine: Machine): Promise<string> {
  const { platform, env, runtime } = machine;
  const bwrap = platform === "linux"
    ? find("bwrap", `${env["PATH"] ?? ""}:/usr/bin`)
    : fail(`it cannot be put into a sandbox: found ${platform}, expected Linux`);
  if (!bwrap) fail("it cannot be put into a sandbox: there is no bwrap; install bubblewrap");
  const rooms = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  const args = [...wallsOf(box.network), ...rooms, "--", bwrap, "--version"];
  const key = args.join(" ");
  if (working.has(key)) return bwrap;
  const { isDone, complaint } = await ask({ command: bwrap, args, env: {} }, runtime, TRIAL_MS);
  const said = snippet(complaint.trim(), 300) || "it does not end well";
  if (isDone) working.add(key);
  if (isDone) return bwrap;
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
