/** What a server that is kept in is started by: command lines, and what is refused. */

import assert from "node:assert/strict";
import { chmod, mkdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import type { Sandbox, StdioTarget } from "../../src/config/types.ts";
import {
  bwrapOf,
  imageProgram,
  keptIn,
  sandboxed,
  type SandboxFacts,
  type ShownPath,
} from "../../src/upstream/transport/sandbox.ts";
import { inDirectory } from "../config/temp.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";

const FACTS: SandboxFacts = {
  bwrap: "/usr/bin/bwrap",
  network: false,
  places: [],
  hidden: [{ path: "/home/me/.local/state/mcproxy", mask: "/home/me/.local/state/mcproxy" }],
};

const PROGRAM = { command: "/opt/app/bin/server", args: ["--x", "-y"], cwd: undefined, env: {} };
const CONFIG = { path: "/home/me/.config/mcproxy/s.json", mask: "/home/me/.config/mcproxy" };

/** The words of a command line by the place they are about, what is the same for all left out. */
function line(facts: Partial<SandboxFacts> = {}, { network = false, cwd = "" } = {}) {
  const program = cwd === "" ? PROGRAM : { ...PROGRAM, cwd };
  const { command, args, env } = sandboxed(program, {}, { ...FACTS, network, ...facts });
  assert.equal(command, "/usr/bin/bwrap");
  return { text: ` ${args.join(" ")} `, args, env };
}

test("sandboxed() is one command line, whole", () => {
  const { text } = line({
    home: "/state/h",
    cache: "/cache/c",
    places: [
      { at: "/opt/app/bin", real: "/opt/app/bin" },
      { at: "/srv/data", real: "/disk/data" },
      { at: "/srv/out", real: "/srv/out", isWritable: true },
    ],
  });
  assert.equal(
    // What is in the system is the same for all.
    text.replaceAll(/ --ro-bind-try (\/(?:etc|nix|gnu)\/\S+|\/(?:s?bin|lib\w*)) \1(?= )/g, ""),
    " --unshare-user-try --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try " +
      "--cap-drop ALL --die-with-parent --unshare-net --proc /proc --dev /dev --tmpfs /tmp " +
      "--ro-bind-try /usr /usr --tmpfs /var/tmp --bind /state/h /tmp/home " +
      "--bind /cache/c /tmp/cache --ro-bind-try /disk/data /srv/data --bind /srv/out /srv/out " +
      "--ro-bind-try /opt/app/bin /opt/app/bin --remount-ro / --chdir /tmp/home " +
      "-- /opt/app/bin/server --x -y ",
  );
});

test("sandboxed() shows names in /etc, never all of it", () => {
  const { args } = line();
  const shown = args.filter((word) => word.startsWith("/etc/"));
  assert.ok(shown.includes("/etc/resolv.conf") && shown.includes("/etc/ssl/certs"));
  // Keys are beside the certificates.
  assert.deepEqual(shown.filter((path) => /^\/etc\/(?:ssl|pki|pki\/tls)$|private/.test(path)), []);
  assert.ok(!args.includes("/etc") && !args.includes("/run") && !args.includes("/home"));
  assert.deepEqual(shown.filter((path) => /shadow|mcproxy|ssh|sudo|machine-id/.test(path)), []);
});

test("sandboxed() has the network only where it is named", () => {
  assert.ok(line().args.includes("--unshare-net"));
  const { args, env } = line({}, { network: true });
  assert.ok(!args.includes("--unshare-net") && !("UV_OFFLINE" in env));
});

test("sandboxed() starts in the directory that is asked for", () => {
  assert.match(line({}, { cwd: "/srv/a b" }).text, / --chdir \/srv\/a b -- /);
});

test("sandboxed() gives words on as they are, whatever they look like", () => {
  const at = "/srv/--bind /:x";
  const places: ShownPath[] = [{ at, real: at }];
  const args = ["--", "--bind", "/", "/", ""];
  const { args: words } = sandboxed({ ...PROGRAM, args }, {}, { ...FACTS, places });
  const from = words.indexOf(at);
  assert.deepEqual(words.slice(from - 1, from + 2), ["--ro-bind-try", at, at]);
  assert.deepEqual(words.slice(words.indexOf("--")), ["--", PROGRAM.command, ...args]);
});

test("sandboxed() puts what lies deeper over what it lies in, and masks between them", () => {
  const { text } = line({
    hidden: [...FACTS.hidden, CONFIG],
    places: [
      { at: "/home/me/work", real: "/home/me/work", isWritable: true },
      { at: "/home/me", real: "/home/me" },
      { at: "/", real: "/" },
    ],
  });
  const order = [
    " --ro-bind-try / / ",
    " --tmpfs /tmp ",
    " --ro-bind-try /home/me /home/me ",
    " --bind /home/me/work /home/me/work ",
    " --tmpfs /home/me/.config/mcproxy ",
    " --tmpfs /home/me/.local/state/mcproxy ",
  ].map((words) => text.indexOf(words));
  assert.ok(!order.includes(-1), text);
  assert.deepEqual(order, order.toSorted((a, b) => a - b));
  // The whole system is there already, and a link of it would lead elsewhere.
  assert.doesNotMatch(text, /ro-bind-try \/(?:etc|usr)/);
});

test("sandboxed() masks below the name a place has inside", () => {
  const { text } = line({ hidden: [CONFIG], places: [{ at: "/inside", real: "/home/me" }] });
  assert.match(text, / --ro-bind-try \/home\/me \/inside .*--tmpfs \/inside\/.config\/mcproxy /);
});

for (
  const [why, places, message] of [
    ["what contains the state and may be changed", [{
      at: "/home/me",
      real: "/home/me",
      isWritable: true,
    }], /cannot be given \/home\/me: \/home\/me\/\.local\/state\/mcproxy is in it/],
    [
      "the state itself",
      [{ at: "/s", real: FACTS.hidden[0]!.path }],
      /cannot be given \/s: .* is in it/,
    ],
    [
      "what is in the state",
      [{ at: "/s", real: `${FACTS.hidden[0]!.path}/x` }],
      /cannot be given \/s: it is in .*mcproxy/,
    ],
    ["the configuration", [{ at: CONFIG.path, real: CONFIG.path }], /s\.json is in it/],
    ["its directory", [{ at: "/x", real: CONFIG.mask }], /s\.json is in it/],
    ["what a sandbox has itself", [{ at: "/tmp", real: "/tmp" }], /has one of its own/],
    ["what is in /proc", [{ at: "/x", real: "/proc/1/root" }], /has one of its own/],
    ["devices", [{ at: "/dev/sda", real: "/dev/sda", isWritable: true }], /has one of its own/],
    ["what a server may make a link", [{ at: "/w", real: "/w", isWritable: true }, {
      at: "/w/in",
      real: "/root",
      by: ["/w/in"],
    }], /given \/w\/in: it may change \/w\/in, which leads there/],
    ["what a link in the state leads to", [{
      at: "/x",
      real: "/srv",
      by: [`${FACTS.hidden[0]!.path}/sandbox/x/home/in`],
    }], /given \/x: it is in .*mcproxy, which is the gateway's own/],
  ] as const
) {
  test(`sandboxed() refuses ${why}`, () => {
    assert.throws(() => line({ hidden: [...FACTS.hidden, CONFIG], places }), message);
  });
}

test("sandboxed() lets in the home of servers that are not kept in, and what lies beside", () => {
  const state = FACTS.hidden[0]!.path;
  const places = [`${state}/home/x`, `${state}2`, "/home/me/.config"].map((at) => ({
    at,
    real: at,
  }));
  assert.match(line({ places }).text, /mcproxy\/home\/x .*/);
});

test("sandboxed() tells a server where things are inside, unless it is configured otherwise", () => {
  const env = {
    HOME: "/root",
    XDG_STATE_HOME: "/home/me/s",
    TMPDIR: "/home/me/t",
    SHELL: "/bin/sh",
    TZ: "UTC",
  };
  const make = (own: Record<string, string>) =>
    sandboxed({ ...PROGRAM, env: { ...env, ...own } }, own, FACTS).env;
  const inside = {
    ...{ HOME: "/tmp/home", XDG_CACHE_HOME: "/tmp/cache" },
    // There is nobody to fetch from.
    ...{ npm_config_offline: "true", UV_OFFLINE: "1" },
  };
  assert.deepEqual(make({}), { TZ: "UTC", ...inside });
  assert.deepEqual(make({ HOME: "/h", TOKEN: "t" }), {
    TZ: "UTC",
    ...inside,
    HOME: "/h",
    TOKEN: "t",
  });
});

const IMAGE: StdioTarget = {
  kind: "stdio",
  command: "mcp/fetch",
  args: ["--rm", "-v", "/:/"],
  env: { TOKEN: "s3cret", "B": "x y" },
  image: { mounts: ["/srv/a b:/data:ro"], network: false },
};

test("imageProgram() is one command line, and values are in the environment alone", () => {
  const { command, args, env } = imageProgram("/usr/bin/podman", IMAGE, { PATH: "/bin" });
  assert.equal(command, "/usr/bin/podman");
  assert.deepEqual(args, [
    ...["run", "-i", "--rm", "--init", "--pull=missing", "--network=none"],
    ...["-e", "TOKEN", "-e", "B", "-v", "/srv/a b:/data:ro"],
    ...["mcp/fetch", "--rm", "-v", "/:/"],
  ]);
  assert.deepEqual(env, { PATH: "/bin", TOKEN: "s3cret", B: "x y" });
  const open = imageProgram("docker", { ...IMAGE, image: { mounts: [], network: true } }, {});
  assert.ok(!open.args.some((word) => word.startsWith("--network")));
});

for (
  const name of ["PATH", "HOME", "DOCKER_HOST", "XDG_RUNTIME_DIR", "LD_PRELOAD", "A*", "*", "-x"]
) {
  test(`imageProgram() gives no container a variable ${name}: it would mean something outside`, () => {
    assert.throws(
      () => imageProgram("podman", { ...IMAGE, env: { [name]: "v" } }, {}),
      /set it in the image/,
    );
  });
}

// The rest looks at files, links and programs of a Linux machine.
const ON_LINUX = process.platform === "linux";

async function program(path: string, text = "#!/bin/sh\n") {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, 0o755);
}

/** A machine with its programs, state and configuration below one directory. */
async function inMachine(
  work: (machine: Awaited<ReturnType<typeof machineIn>>) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => await work(await machineIn(await realpath(directory))));
}

async function machineIn(root: string) {
  const bin = join(root, "bin");
  const state = join(root, "home/.local/state/mcproxy");
  const cache = join(root, "home/.cache/mcproxy");
  const file = join(root, "conf/mcp-servers.json");
  for (const name of ["bwrap", "podman", "docker"]) await program(join(bin, name));
  await mkdir(join(root, "data"));
  await mkdir(dirname(file));
  await writeFile(file, "{}");
  const runtime = new FakeRuntime({
    programs: { [join(bin, "bwrap")]: (child) => child.exit(0) },
  });
  const env: Record<string, string> = { PATH: bin, HOME: join(root, "home") };
  const machine = { platform: "linux", env, runtime };
  const start = (given: Partial<StdioTarget>) => {
    const target: StdioTarget = {
      kind: "stdio",
      command: "x",
      args: [],
      env: {},
      hidden: [file],
      ...given,
    };
    const { command, args, cwd } = target;
    return keptIn("x", target, { command, args, cwd, env: { ...env, ...target.env } }, machine);
  };
  return { root, bin, state, cache, file, runtime, machine, start };
}

const sandbox = (given: Partial<Sandbox> = {}) => ({
  read: [],
  write: [],
  network: false,
  ...given,
});

const SECRET = "secret/run.sh";
/** A machine with a server that may write to `app`, and with what it must not see. */
const inApp = (work: (machine: Awaited<ReturnType<typeof appIn>>) => Promise<void>) =>
  inMachine(async (machine) => await work(await appIn(machine)));

async function appIn({ root, bin, start }: Awaited<ReturnType<typeof machineIn>>) {
  const at = (path: string) => join(root, path);
  for (const path of [join(bin, "x"), at(SECRET)]) await program(path);
  await mkdir(at("app"));
  await symlink(at("app"), at("alias"));
  /** What is shown of this machine, whatever it is called. */
  const boxed = async (given: Partial<StdioTarget>, read: string[] = []) => {
    const { args } = await start({ sandbox: sandbox({ read, write: [at("app")] }), ...given });
    const isShown = (word: string, index: number) =>
      /^--(?:ro-)?bind/.test(args[index - 2] ?? "") && word.startsWith(root);
    return args.filter(isShown).sort();
  };
  const refused = (given: Partial<StdioTarget>, why: RegExp, read: string[] = []) =>
    assert.rejects(boxed(given, read), why);
  return { at, start, boxed, refused };
}

if (ON_LINUX) {
  test("keptIn() shows a program with its interpreter, its packages and what links lead to", () =>
    inMachine(async ({ root, bin, start }) => {
      const lib = join(root, "node/lib/node_modules");
      await program(join(lib, "npm/bin/npx-cli.js"), "#!/usr/bin/env -S node --no-warnings\n");
      await program(join(root, "node/bin/node"), "\x7fELF");
      await program(join(root, "venv/bin/fetch"), `#!${root}/venv/bin/python\nimport x\n`);
      await program(join(root, "python/3.12/bin/python3"), "\x7fELF");
      await mkdir(join(root, "python/3.12/lib"));
      await writeFile(join(root, "venv/pyvenv.cfg"), "");
      await symlink(join(lib, "npm/bin/npx-cli.js"), join(bin, "npx"));
      await symlink(join(root, "node/bin/node"), join(bin, "node"));
      await symlink(join(root, "python/3.12"), join(root, "python/3"));
      await symlink(join(root, "python/3/bin/python3"), join(root, "venv/bin/python"));
      const shown = async (command: string) => {
        const { args } = await start({ command, sandbox: sandbox() });
        const words = args.flatMap((word, at) =>
          word === "--ro-bind-try" && args[at + 2]!.startsWith(root) ? [args[at + 2]!] : []
        );
        return words.map((path) => path.slice(root.length + 1)).sort();
      };
      assert.deepEqual(await shown("npx"), [
        "bin",
        "node/bin",
        "node/lib",
        "node/lib/node_modules",
      ]);
      const python = ["python/3/bin", "python/3/lib", "venv/bin", "venv/pyvenv.cfg"];
      assert.deepEqual(await shown(join(root, "venv/bin/fetch")), python);
      // Of a home only the program itself.
      await program(join(root, "home/server"));
      assert.deepEqual(await shown(join(root, "home/server")), ["home/server"]);
    }));

  test("keptIn() keeps a home and a cache for each server, and tries bwrap once", () =>
    inMachine(async ({ bin, state, cache, runtime, start }) => {
      await program(join(bin, "x"));
      const first = await start({ sandbox: sandbox() });
      const binds = first.args.flatMap((word, at) =>
        word === "--bind" ? [first.args[at + 1]!] : []
      );
      assert.equal(binds.length, 2);
      assert.ok(binds[0]!.startsWith(`${state}/sandbox/x-`) && binds[0]!.endsWith("/home"));
      assert.ok(binds[1]!.startsWith(`${cache}/sandbox/x-`) && binds[1]!.endsWith("/cache"));
      for (const path of binds) assert.equal(await realpath(path), path);
      assert.deepEqual((await start({ sandbox: sandbox() })).args, first.args);
      assert.equal(runtime.children.length, 1);
      assert.equal(first.command, join(bin, "bwrap"));
      assert.ok(first.args.includes(join(bin, "x")));
    }));

  test("keptIn() refuses what is missing, the configuration and the state, by any name", () =>
    inMachine(async ({ root, bin, state, file, start }) => {
      await program(join(bin, "x"));
      const refused = (given: Partial<Sandbox>, message: RegExp) =>
        assert.rejects(start({ sandbox: sandbox(given) }), message);
      await refused({ read: [join(root, "none")] }, /cannot be given .*none: it is missing/);
      await refused({ read: [join(root, "conf")] }, /mcp-servers\.json is in it/);
      await refused({ write: [root] }, /is in it, which is the gateway's own/);
      await symlink(dirname(file), join(root, "data/link"));
      await refused({ read: [join(root, "data/link")] }, /mcp-servers\.json is in it/);
      await start({ sandbox: sandbox() });
      await refused({ read: [join(state, "sandbox")] }, /it is in .*, which is the gateway's own/);
      // A configuration that is a link is hidden at both of its ends.
      await writeFile(join(root, "data/real.json"), "{}");
      await symlink(join(root, "data/real.json"), join(root, "conf/linked.json"));
      await assert.rejects(
        start({
          hidden: [join(root, "conf/linked.json")],
          sandbox: sandbox({ read: [join(root, "data")] }),
        }),
        /real\.json is in it/,
      );
      const { args } = await start({ sandbox: sandbox({ read: [root] }) });
      assert.ok(args.join(" ").includes(`--tmpfs ${join(root, "conf")} `));
      await assert.rejects(start({ command: "none", sandbox: sandbox() }), /no program "none"/);
    }));

  test("keptIn() shows nothing that a program leads to which the server may change", () =>
    inApp(async ({ at, boxed, refused }) => {
      const command = at("app/start");
      await program(command, `#!/usr/bin/env -S sh ${at("app/next")} ${at(SECRET)}\n`);
      await refused({ command }, /given .*secret: it may change .*app\/start, which leads there/);
      await refused({ command: "./start", cwd: at("app") }, /it may change .*app\/start/);
      await refused({ command: at("alias/start") }, /it may change .*app\/start/);
      await refused({ command: "start", env: { PATH: at("app") } }, /it may change .*app\/start/);
      assert.deepEqual(await boxed({ command }, [at("secret")]), [at("app"), at("secret")]);
      await program(command, "#!/bin/sh\n");
      assert.deepEqual(await boxed({ command }), [at("app")]);
      await program(at("own/start"), `#!${command}\n`);
      const own = { command: at("own/start") };
      assert.deepEqual(await boxed(own, [at("own")]), [at("app"), at("own")]);
      await program(command, `#!${at(SECRET)}\n`);
      await refused(own, /it may change .*app\/start/, [at("own")]);
    }));

  test("keptIn() shows nothing that a link leads to which the server may change", () =>
    inApp(async ({ at, boxed, refused }) => {
      await symlink(at(SECRET), at("app/start"));
      await symlink(at("app/start"), at("outer"));
      await symlink(at("secret"), at("app/bin"));
      for (const command of ["app/start", "outer", "alias/start", "app/bin/run.sh"].map(at)) {
        await refused({ command }, /it may change .*app\/(?:start|bin), which leads there/);
      }
      // A virtual environment, of the system and of elsewhere.
      const python = at("app/venv/bin/python");
      await program(at("app/venv/bin/fetch"), `#!${python}\n`);
      await mkdir(at("app/venv/lib"));
      await symlink("lib", at("app/venv/lib64"));
      await symlink("/bin/sh", python);
      for (const command of [python, at("app/venv/bin/fetch")]) {
        assert.deepEqual(await boxed({ command }), [at("app")]);
      }
      await rm(python);
      await symlink(at(SECRET), python);
      for (const command of [python, at("app/venv/bin/fetch")]) {
        await refused({ command }, /it may change .*venv\/bin\/\w+, which leads there/);
      }
    }));

  test("keptIn() follows each link of a place, by whatever name it is given", () =>
    inApp(async ({ at, start, refused }) => {
      await symlink("../alias/../secret", at("app/l"));
      await mkdir(at("deep/er"), { recursive: true });
      await symlink(at("app"), at("deep/er/app"));
      await symlink("er/app/../app/l", at("deep/l"));
      const why = /it may change .*\/app\/l, which leads there/;
      const mount = (...mounts: string[]) => start({ image: { mounts, network: false } });
      for (const path of ["app/l", "alias/l", "deep/er/app/l", "deep/l", "app/l/run.sh"].map(at)) {
        await refused({}, why, [path]);
        if (!path.startsWith(at("app/"))) await refused({ cwd: path }, why);
        // What may be changed may be called otherwise, too.
        await refused({ sandbox: sandbox({ read: [path], write: [at("alias")] }) }, why);
        await refused({ sandbox: sandbox({ write: [at("app"), path] }) }, why);
        await assert.rejects(mount(`${at("alias")}:/a`, `${path}:/l:ro`), why);
      }
      // It cannot change what it may only read.
      await start({ sandbox: sandbox({ read: [at("app"), at("alias/l")] }) });
      await mount(`${at("app")}:/a:ro,z`, `${at("app/l")}:/l`);
      await symlink(at("loop"), at("loop"));
      await refused({}, /loop: it is missing/, [at("loop")]);
    }));

  test("keptIn() hides a directory as a whole, and lets a server write where it starts", () =>
    inMachine(async ({ root, bin, start }) => {
      await program(join(bin, "x"));
      const keys = join(root, "data/keys");
      await mkdir(keys);
      await writeFile(join(keys, "a"), "");
      const hidden = [keys, join(keys, "a"), join(keys, "b")];
      const given = sandbox({ read: [join(root, "data")] });
      const { args } = await start({ hidden, sandbox: given });
      assert.deepEqual(args.filter((word) => word === keys), [keys]);
      await assert.rejects(
        start({ hidden: [keys], sandbox: sandbox({ read: [keys] }) }),
        /is in it, which is the gateway's own/,
      );
      const mount = { mounts: [`${join(root, "data")}:/d`], network: false };
      await assert.rejects(start({ hidden: [keys], image: mount }), /keys is in it/);
      const out = join(root, "out/sub");
      await mkdir(out, { recursive: true });
      const inside = await start({ cwd: out, sandbox: sandbox({ write: [join(root, "out")] }) });
      assert.deepEqual(inside.args.filter((word) => word === out), [out]);
    }));

  test("bwrapOf() says why there can be no sandbox, and asks again after that", () =>
    inMachine(async ({ bin, machine, runtime }) => {
      const closed = { network: false };
      runtime.programs.set(join(bin, "bwrap"), (child) => {
        child.stderr("bwrap: setting up uid map: Permission denied\n");
        child.exit(1);
      });
      await assert.rejects(
        bwrapOf(closed, machine),
        /does not work here \(bwrap: setting up uid map: Permission denied\); .*mcproxy-sandbox\.conf/,
      );
      runtime.programs.set(join(bin, "bwrap"), (child) => child.exit(0));
      assert.equal(await bwrapOf(closed, machine), join(bin, "bwrap"));
      await assert.rejects(
        bwrapOf(closed, { ...machine, platform: "darwin" }),
        /found darwin, expected Linux/,
      );
    }));

  test("keptIn() runs an image by podman, else docker, and mounts nothing of the gateway's own", () =>
    inMachine(async ({ root, bin, file, machine, start }) => {
      const image = (...mounts: string[]) => ({
        ...IMAGE,
        image: { mounts, network: false },
        hidden: [file],
      });
      Object.assign(machine.env, { DOCKER_HOST: "tcp://127.0.0.1:1", SECRET: "s" });
      const { command, args, env } = await start(image(`${root}/data:/data:ro`, "volume:/v"));
      assert.equal(command, join(bin, "podman"));
      assert.ok(args.includes(`${root}/data:/data:ro`) && args.includes("volume:/v"));
      assert.equal(env["DOCKER_HOST"], "tcp://127.0.0.1:1");
      await assert.rejects(start(image(`${root}:/r`)), /is in it, which is the gateway's own/);
      await assert.rejects(start(image(`${root}/none:/r`)), /it is missing/);
      await rm(join(bin, "podman"));
      assert.equal((await start(image())).command, join(bin, "docker"));
      await rm(join(bin, "docker"));
      await assert.rejects(start(image()), /found neither podman nor docker/);
    }));
}
