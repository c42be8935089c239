/** How many of the tools clients get to see, and how the others are found. */

/** Whether clients see a few tools that find the others, instead of all of them. */
export type GatingMode = "off" | "on" | "auto";

/** How the tools of a view are gated; complete, defaults applied. */
export interface GatingConfig {
  /** `auto` gates a view that exceeds one of the two bounds. */
  readonly mode: GatingMode;
  /** Most tools that `auto` still lists directly. */
  readonly maxTools: number;
  /** Most (estimated) tokens of tools that `auto` still lists, and what provisioning may return. */
  readonly maxTokens: number;
  /** Patterns for exposed names of tools that are listed in any case. */
  readonly alwaysVisible: readonly string[];
  /** Whether provisioned tools join the list of their client; `auto`: of one known to notice. */
  readonly exposeProvisioned: boolean | "auto";
  /** Whether a tool must be provisioned before it can be executed. */
  readonly requireProvisioning: boolean;
  /** Whether there is one tool to execute for each risk, so that clients can ask for approval. */
  readonly splitByRisk: boolean;
  /** Whether tools that were called before rank a little higher. */
  readonly usageRanking: boolean;
}

/** An endpoint that turns texts into vectors, as OpenAI's API does. */
export interface EmbeddingsConfig {
  /** Base address, with or without `/embeddings` at its end. */
  readonly url: string;
  readonly model: string;
  /** Sent as a bearer token; a secret. */
  readonly apiKey?: string | undefined;
  /** Milliseconds that a search waits for the vector of its query. */
  readonly timeout: number;
}
