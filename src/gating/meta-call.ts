import type { JsonObject } from "../lib/json.ts";
import type { Client } from "../protocol/exchange.ts";
import type { Registry } from "../registry/types.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Gate } from "./gate.ts";

/** One call of a meta tool, in one snapshot. */
export interface MetaCall {
  readonly client: Client;
  readonly endpoint: Endpoint;
  readonly registry: Registry;
  /** The gate of the endpoint: only what is behind it exists for this call. */
  readonly gate: Gate;
  readonly args: JsonObject;
}
