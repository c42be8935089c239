import { isObject } from "../lib/json.ts";

/** How long the one who holds the address has to answer, milliseconds. */
const PATIENCE = 500;

/** Says who listens on an address that could not be had. Never rejects. */
export async function describeHolder(host: string, port: number): Promise<string> {
  const wildcard = host === "0.0.0.0" || host === "::" || host === "[::]";
  const name = wildcard ? "127.0.0.1" : host.includes(":") && host[0] !== "[" ? `[${host}]` : host;
  const base = `http://${name}:${port}`;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(`${base}/api/status`, { signal, redirect: "manual" });
    const status: unknown = await response.json();
    if (isObject(status) && Array.isArray(status.servers) && isObject(status.config)) {
      return `Another mcproxy runs there (version ${String(status.version)}, config ${
        String(status.config.path)
      }); see it with "mcproxy status --url ${base}", share it with "mcproxy bridge ${base}/mcp"`;
    }
  } catch {
    // It speaks something else, or nothing.
  }
  return `Another program listens there; "ss -ltnp sport = :${port}" names it`;
}
