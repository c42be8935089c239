/** `mcproxy alerts test`: tells every channel of the configuration, whether a gateway runs or not. */

import { runtime } from "#runtime";
import { ExitCode, failed, type Io } from "../../app/io.ts";
import { requireConfiguration } from "../../app/plan.ts";
import { messageOf } from "../../lib/text.ts";
import { type AlertMessage, tellOnce } from "../../observe/alerts/channels.ts";
import { shownChannel } from "../../observe/alerts/rules.ts";
import type { OptionValues } from "../command.ts";
import { gatewayUrls, ownAddress } from "../urls.ts";
import { printReport } from "../view/table.ts";
import { type Shown, tableOf } from "./asked.ts";

const CHANNELS: readonly Shown[] = [
  { title: "CHANNEL", member: "kind" },
  { title: "TARGET", member: "target" },
  { title: "WHAT CAME OF IT", member: "error", as: (error) => String(error ?? "told") },
];

/** Tries each channel once. */
export async function testAlerts(options: OptionValues, io: Io): Promise<number> {
  const { config: { settings } } = await requireConfiguration(options, io);
  const { alerts, publicUrl } = settings;
  if (alerts === undefined || alerts.to.length === 0) {
    throw failed('Cannot test alerts: the configuration has nobody in the "to" of "alerts"');
  }
  const { label: base } = gatewayUrls(publicUrl, (await ownAddress(io, options.config)).env);
  const message: AlertMessage = {
    ...{ id: crypto.randomUUID(), rule: "test", subject: "mcproxy", state: "test" },
    ...{ since: Date.now(), text: "This is a test: nothing is wrong", url: `${base}/#/alerts` },
  };
  const channels = await Promise.all(alerts.to.map(async (channel) => {
    const told = tellOnce(channel, message, { runtime });
    return { ...shownChannel(channel), error: await told.then(() => null, messageOf) };
  }));
  await printReport(io, options, { channels }, (style) => tableOf(CHANNELS, channels, io, style));
  return channels.every(({ error }) => error === null) ? ExitCode.Ok : ExitCode.Failed;
}
