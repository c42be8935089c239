/** Serves a handler as its runtime's manual shows it, and prints the address. */

type Handler = (request: Request) => Response | Promise<Response>;

interface Runtimes {
  readonly Deno?: { serve(options: object, handler: Handler): unknown };
  readonly Bun?: { serve(options: object): { readonly port: number } };
}

/** @param port 0 picks one */
export function serve(fetch: Handler, port = 0): void {
  const { Deno: deno, Bun: bun } = globalThis as unknown as Runtimes;
  const announce = (port: number) => console.log(`http://127.0.0.1:${port}`);
  if (bun !== undefined) {
    announce(bun.serve({ hostname: "127.0.0.1", port, fetch }).port);
  } else {
    const onListen = (address: { readonly port: number }) => announce(address.port);
    deno!.serve({ hostname: "127.0.0.1", port, onListen }, fetch);
  }
}
