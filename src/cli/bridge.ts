import { ExitCode, type Io, say } from "../app/io.ts";
import { LineDecoder } from "../lib/lines.ts";
import { BridgeLink } from "./bridge-link.ts";
import type { Invocation } from "./command.ts";
import { gatewayUrls } from "./urls.ts";

/**
 * `mcproxy bridge [URL]`: stdin and stdout on one side, a running gateway on the other. Stdout
 * carries the protocol and nothing else. Ends with stdin, with stdout, or by a signal.
 */
export async function run({ args: [url], options }: Invocation, io: Io): Promise<number> {
  const urls = gatewayUrls(url, io.env);
  const ended = Promise.withResolvers<number>();
  const link = new BridgeLink({
    url: urls.mcp,
    label: urls.label,
    write: (line) => {
      io.stdout.write(`${line}\n`).catch(() => ended.resolve(ExitCode.Ok));
    },
    tell: (text) => {
      void say(io.stderr, `${options.json === true ? JSON.stringify({ message: text }) : text}\n`);
    },
  });
  const off = [
    io.runtime.onSignal("SIGINT", () => ended.resolve(ExitCode.Ok)),
    io.runtime.onSignal("SIGTERM", () => ended.resolve(ExitCode.Ok)),
  ];
  readLines(io.stdin, link).then(
    () => ended.resolve(ExitCode.Ok),
    (error: unknown) => {
      void say(io.stderr, `Cannot read stdin: ${String(error)}\n`);
      ended.resolve(ExitCode.Failed);
    },
  );
  try {
    return await ended.promise;
  } finally {
    await link.close();
    // A signal that comes now finds the default again.
    for (const remove of off) remove();
  }
}

async function readLines(
  input: AsyncIterable<Uint8Array>,
  link: BridgeLink,
): Promise<void> {
  const decoder = new LineDecoder({
    onLine: (line) => link.receive(line),
    onOverlong: () => link.tooLong(),
  });
  for await (const chunk of input) decoder.push(chunk);
  decoder.end();
}
