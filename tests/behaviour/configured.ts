import type { Config, Gateway } from "../support/gateway.ts";
import { eventually } from "../support/inbox.ts";
import { replaceConfig } from "./helpers.ts";

/** A configuration with at least one server, by which it is seen to be in force. */
export type ConfiguredBy = Exclude<Config, string>;

/**
 * Gives a running gateway another configuration and returns it as one that was just started with
 * that: of the servers before, even of such as are configured alike, none is left.
 */
export async function configureAnew(gateway: Gateway, config: ConfiguredBy): Promise<Gateway> {
  await inForce(gateway, { mcpServers: {} });
  const from = gateway.logs.items.length;
  await inForce(gateway, config);
  return {
    ...gateway,
    waitForLog: (pattern, at = from) => gateway.waitForLog(pattern, at),
    ready: async () => {
      // "/readyz" tells of the servers of a start only, and brings the lists up to date.
      const health = async () => await (await fetch(`${gateway.base}/health`)).json();
      await eventually(health, ({ servers }) => servers.starting === 0, "no server starting");
      await gateway.ready();
    },
  };
}

async function inForce(gateway: Gateway, config: ConfiguredBy): Promise<void> {
  await replaceConfig(gateway, config);
  const names = Object.keys(config.mcpServers).join();
  for (;;) {
    const from = gateway.logs.items.length;
    const { config: { error }, servers } = await gateway.status();
    if (error === null && servers.map(({ name }) => name).join() === names) return;
    await gateway.waitForLog(/Configuration reloaded|nothing has changed/, from);
  }
}
