// Lines on stdin and text on stdout, for programs that Bun runs: its streams of Node and its
// readline are half of what the start of a fake costs, and there are thousands of starts.

const output = Bun.stdout.writer();

/**
 * Writes a text at once, if need be in parts; settles when all of it is written.
 * @param {string | Uint8Array} text
 */
export async function write(text) {
  output.write(text);
  await output.flush();
}

/** Cuts bytes into lines. Only "\n" ends one. */
export class LineSplitter {
  #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #rest = "";

  /** @param {Uint8Array} bytes @param {(line: string) => void} take */
  take(bytes, take) {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
}

/**
 * Hands on each line of stdin, and says when there are no more.
 * @param {(line: string) => void} take @param {() => void} end
 * @param {() => boolean} isDeaf true from when nothing more is to be read
 */
export async function eachLine(take, end, isDeaf = () => false) {
  const lines = new LineSplitter();
  for await (const bytes of Bun.stdin.stream()) {
    lines.take(bytes, take);
    // Not left: that would close what it reads from.
    if (isDeaf()) await new Promise(() => setInterval(() => {}, 60_000));
  }
  end();
}
