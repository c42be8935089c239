/**
 * What V8 is told wherever Deno runs the gateway, measured under load: a quarter less memory than
 * without, for a tenth of the throughput (docs/decisions/0004-memory.md).
 */
export const V8_FLAGS = "--max-semi-space-size=2,--heap-growing-percent=10";
