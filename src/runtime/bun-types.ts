/**
 * The part of Bun this project uses, declared by hand: `@types/bun` and Deno's own types redeclare
 * the same globals and cannot be loaded together.
 */

/** `Server` of `Bun.serve`. */
export interface BunServer {
  readonly hostname: string;
  readonly port: number;
  /** Null once the request is over. */
  requestIP(request: Request): { readonly address: string } | null;
  /** `true` also closes active connections. */
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/** Options of `Bun.serve`. */
export interface BunServeOptions {
  readonly hostname: string;
  readonly port: number;
  /** Seconds; 0 switches the timeout off. */
  readonly idleTimeout: number;
  /** Bytes; Bun answers 413 with an empty body above it. */
  readonly maxRequestBodySize: number;
  readonly fetch: (request: Request, server: BunServer) => Response | Promise<Response>;
  readonly error: (error: unknown) => Response;
}

/** The global `Bun`. */
export interface BunGlobal {
  readonly version: string;
  serve(options: BunServeOptions): BunServer;
}
