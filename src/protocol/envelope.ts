/**
 * The `_meta` keys of the modern era (2026-07-28, basic/index: request metadata). Every modern
 * request carries the first two; every modern result should carry `serverInfo`.
 */
export const MetaKey = {
  ProtocolVersion: "io.modelcontextprotocol/protocolVersion",
  ClientCapabilities: "io.modelcontextprotocol/clientCapabilities",
  ClientInfo: "io.modelcontextprotocol/clientInfo",
  LogLevel: "io.modelcontextprotocol/logLevel",
  ServerInfo: "io.modelcontextprotocol/serverInfo",
  SubscriptionId: "io.modelcontextprotocol/subscriptionId",
  RelatedTask: "io.modelcontextprotocol/related-task",
  ProgressToken: "progressToken",
} as const;

/** The keys that belong to one hop: never passed to a peer of the other era as they are. */
export const ENVELOPE_KEYS: readonly string[] = [
  MetaKey.ProtocolVersion,
  MetaKey.ClientCapabilities,
  MetaKey.ClientInfo,
  MetaKey.LogLevel,
];
