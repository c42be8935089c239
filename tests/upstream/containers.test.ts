import assert from "node:assert/strict";
import { hostname } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { StdioTransport } from "../../src/upstream/transport/stdio.ts";
import type { FakeProcess } from "../support/fake-child.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { eventually, within } from "../support/inbox.ts";
import { FakeClock } from "./fakes/clock.ts";
import { RecordedLog } from "./support.ts";

/**
 * Plays docker: what runs in a container ends neither with its input nor by SIGTERM, which the
 * program passes on to it; killed, the program leaves the container behind.
 */
class Docker {
  readonly runtime: FakeRuntime;
  /** Labels by the id of the container. */
  readonly containers = new Map<string, string>();
  readonly asked: string[] = [];
  readonly #clients = new Map<string, FakeProcess>();
  #count = 0;
  /** What is done before it says which containers there are; true where it cannot. */
  onPs: (child: FakeProcess) => boolean | Promise<boolean> = () => false;

  constructor(readonly command = "docker") {
    this.runtime = new FakeRuntime({ programs: { [command]: (child) => this.#main(child) } });
  }

  leave(label: string): string {
    const id = `c${++this.#count}`;
    this.containers.set(id, label);
    return id;
  }

  async runs(count: number): Promise<void> {
    await eventually(() => this.containers.size, (size) => size === count, `${count} containers`);
  }

  #main(child: FakeProcess): void {
    const { args } = child;
    const value = (option: string) => args[args.indexOf(option) + 1]!;
    const verb = args.find((word) => ["run", "ps", "rm"].includes(word));
    this.asked.push(args.filter((word) => !word.includes("=")).join(" "));
    if (verb === "run") {
      child.onInputEnd(() => {});
      child.onTerminate(() => {});
      this.#clients.set(this.leave(value("--label").replace("mcproxy=", "")), child);
    } else if (verb === "ps") {
      const wanted = value("--filter").replace(/^label=mcproxy=?/, "");
      void Promise.resolve(this.onPs(child)).then((isDown) => {
        for (const [id, label] of this.containers) {
          if (label.startsWith(wanted) && !isDown) child.stdout(`${id} ${label}\n`);
        }
        child.exit(isDown ? 1 : 0);
      });
    } else if (verb === "rm") {
      for (const id of args.slice(args.indexOf("--force") + 1)) {
        this.containers.delete(id);
        this.#clients.get(id)?.exit(137);
      }
      child.exit(0);
    }
  }
}

function transportOf(
  { command, runtime }: Docker,
  args: readonly string[],
  clock: FakeClock,
  env: Readonly<Record<string, string>> = {},
) {
  const target = { kind: "stdio", command, args, env } as const;
  const options = { server: "x", target, runtime, log: new RecordedLog(), clock };
  return new StdioTransport(options);
}

const NOTHING = { onMessage: () => {}, onInvalid: () => {}, onClose: () => {} };

for (
  const [command, args] of [
    ["docker", ["run", "-i", "--rm", "image", "run"]],
    ["/usr/bin/podman", ["--log-level", "error", "run", "-i", "image"]],
    ["nerdctl", ["container", "run", "-i", "image"]],
  ] as const
) {
  test(`StdioTransport.close() ends the container of ${command} ${args.join(" ")}`, async () => {
    const docker = new Docker(command);
    const clock = new FakeClock();
    const transport = transportOf(docker, args, clock);
    await transport.start(NOTHING);
    await docker.runs(1);
    await clock.flowUntil(transport.close());
    assert.deepEqual([...docker.containers], []);
  });
}

test("StdioTransport ends the container when what is attached to it was killed", async () => {
  const docker = new Docker();
  const clock = new FakeClock();
  const transport = transportOf(docker, ["run", "-i", "image"], clock);
  const closed = Promise.withResolvers<void>();
  await transport.start({ ...NOTHING, onClose: () => closed.resolve() });
  await docker.runs(1);
  docker.runtime.children.at(-1)!.kill("SIGKILL");
  await closed.promise;
  clock.tick(1_000);
  await docker.runs(0);
});

/** How the labels of this host begin, in this space of process ids. */
async function host(): Promise<string> {
  const docker = new Docker("/opt/host/docker");
  const clock = new FakeClock();
  const transport = transportOf(docker, ["run", "-i", "image"], clock);
  await transport.start(NOTHING);
  await docker.runs(1);
  const [label] = docker.containers.values();
  await clock.flowUntil(transport.close());
  return label!.split("/")[0]!;
}

test("StdioTransport ends what a killed gateway has left before it starts another one", async () => {
  const docker = new Docker("/opt/sweep/docker");
  const here = await host();
  const killed = docker.leave(`${here}/2147483646/r/1`);
  const before = docker.leave(`${here}/${process.pid}/earlier/1`);
  const kept = [
    docker.leave(`${here}/${process.ppid}/r/1`),
    docker.leave("elsewhere/2147483646/r/1"),
    // A container of the same name has process ids of its own.
    docker.leave(`${hostname()}/${process.pid}/r/1`),
    docker.leave(`${here}1/${process.pid}/r/1`),
  ];
  const clock = new FakeClock();
  const transports = [1, 2].map(() => transportOf(docker, ["run", "-i", "image"], clock));
  await Promise.all(transports.map((transport) => transport.start(NOTHING)));
  assert.ok(!docker.containers.has(killed) && !docker.containers.has(before));
  await docker.runs(kept.length + 2);
  assert.equal(docker.asked.filter((line) => line.startsWith("ps")).length, 1);
  await clock.flowUntil(Promise.all(transports.map((transport) => transport.close())));
  assert.deepEqual([...docker.containers.keys()], kept);
});

test("StdioTransport asks again for what was left where nobody could say, and each daemon", async () => {
  const docker = new Docker("/opt/late/docker");
  const killed = docker.leave(`${await host()}/2147483646/r/1`);
  const clock = new FakeClock();
  const begin = (env: Record<string, string> = {}) => {
    const transport = transportOf(docker, ["run", "-i", "image"], clock, env);
    return transport.start(NOTHING);
  };
  docker.onPs = () => true;
  await begin();
  assert.ok(docker.containers.has(killed));
  docker.onPs = () => false;
  await begin();
  assert.ok(!docker.containers.has(killed));
  const asked = () => docker.asked.filter((line) => line.startsWith("ps")).length;
  const before = asked();
  await begin();
  assert.equal(asked(), before);
  await begin({ DOCKER_HOST: "tcp://127.0.0.1:1" });
  assert.equal(asked(), before + 1);
});

test("StdioTransport reads no more than a bounded list of containers, and removes none by half", async () => {
  const docker = new Docker("/opt/flood/docker");
  const here = await host();
  const killed = docker.leave(`${here}/2147483646/r/1`);
  const line = `c0ffee ${here}/2147483646/r/1\n`;
  let written = 0;
  docker.onPs = async (child) => {
    const isRunning = () => docker.runtime.children.at(-1)!.status === null;
    // Whoever reads all of it reads for ever.
    while (isRunning() && written < 64 * 1024 * 1024) {
      child.stdout(line.repeat(1_000));
      written += 1_000 * line.length;
      await new Promise((next) => setImmediate(next));
    }
    return !isRunning();
  };
  const clock = new FakeClock();
  const transport = transportOf(docker, ["run", "-i", "image"], clock);
  await within(transport.start(NOTHING), "the start");
  assert.ok(written < 4 * 1024 * 1024, `${written} characters were read`);
  assert.ok(docker.containers.has(killed), "what was cut off is removed");
  // A list that ends in time and is too long is none either.
  docker.onPs = (child) => {
    child.stdout(line.repeat(50_000));
    return false;
  };
  await transportOf(docker, ["run", "-i", "image"], clock).start(NOTHING);
  assert.ok(docker.containers.has(killed), "a list beyond the bound counts");
  assert.deepEqual(docker.asked.filter((line) => line.startsWith("rm")), []);
});

test("StdioTransport starts no container after its close", async () => {
  const docker = new Docker("/opt/closed/docker");
  const gate = Promise.withResolvers<boolean>();
  docker.onPs = () => gate.promise;
  const clock = new FakeClock();
  const transport = transportOf(docker, ["run", "-i", "image"], clock);
  const started = transport.start(NOTHING);
  await eventually(() => docker.asked.length, (length) => length > 0, "the question");
  const closed = transport.close();
  gate.resolve(false);
  await assert.rejects(started, /was stopped/);
  await clock.flowUntil(closed);
  assert.deepEqual([...docker.containers], []);
});

test("StdioTransport leaves other words of docker as they are", async () => {
  for (const args of [["exec", "-i", "c", "run"], ["compose", "run", "x"], ["mcp", "gateway"]]) {
    const docker = new Docker();
    await within(transportOf(docker, args, new FakeClock()).start(NOTHING), "the start");
    assert.deepEqual(docker.runtime.children.map((child) => child.args), [args]);
  }
});
