/** What the commands that look at calls have in common: whom they ask, and how things are written. */

import type { Io } from "../../app/io.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { untilSignal } from "../call.ts";
import type { OptionValues } from "../command.ts";
import { RemoteCaller } from "../remote.ts";
import { printed } from "../status-view.ts";
import { type GatewayUrls, namedGateway } from "../urls.ts";
import { type Column, renderTable, type Style } from "../view/table.ts";

/** Asks the gateway that runs here, or at `--url`; a signal ends it, and aborts `stop`. */
export async function askGateway(
  { url }: OptionValues,
  io: Io,
  use: (gateway: RemoteCaller, urls: GatewayUrls, stop: AbortController) => Promise<number>,
): Promise<number> {
  const urls = await namedGateway(url, io);
  const gateway = new RemoteCaller(urls, io);
  const stop = new AbortController();
  const close = () => {
    stop.abort();
    return gateway.close();
  };
  return await untilSignal({ close }, io, () => use(gateway, urls, stop));
}

/** A path with the values that are there as its query. */
export function pathWith(path: string, values: Readonly<Record<string, string | undefined>>) {
  const said = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return said.length === 0 ? path : `${path}?${new URLSearchParams(said as [string, string][])}`;
}

/** The objects in a member that is a list. */
export function listIn(body: JsonObject, name = "items"): JsonObject[] {
  const list = body[name];
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** `0.4 ms`, `12 ms`, `1.5 s`, `2 m 5 s`; empty for what is no number. */
export function took(ms: unknown): string {
  if (typeof ms !== "number") return "";
  if (ms < 1) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(2))} s`;
  return `${Math.floor(ms / 60_000)} m ${Math.floor(ms / 1_000) % 60} s`;
}

/** `120 B`, `1.5 kB`, `2 MB`; empty for what is no number. */
export function sizeText(bytes: unknown): string {
  if (typeof bytes !== "number") return "";
  if (bytes < 1_000) return `${bytes} B`;
  const [unit, name] = bytes < 1e6 ? [1e3, "kB"] as const : [1e6, "MB"] as const;
  return `${Number((bytes / unit).toFixed(1))} ${name}`;
}

/** As in the log; empty for what is no time. */
export function timeText(at: unknown): string {
  const date = new Date(typeof at === "number" ? at : NaN);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/** How one member of an item is shown; as it is, where nothing is said. */
export interface Shown extends Column {
  readonly member: string;
  readonly as?: (value: unknown) => string;
}

/** A table of what a gateway tells. */
export function tableOf(
  columns: readonly Shown[],
  items: readonly JsonObject[],
  { stdout }: Pick<Io, "stdout">,
  style: Style,
): string[] {
  const cells = items.map((item) =>
    columns.map(({ member, as }) => {
      const value = item[member];
      return as === undefined && typeof value === "number" ? value : (as ?? printed)(value);
    })
  );
  const width = stdout.isTerminal ? stdout.columns : Infinity;
  return renderTable(columns, cells, { style, width });
}
