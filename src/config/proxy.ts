/**
 * The layout with `proxy` (how the gateway listens), `servers` (an object, or an array of entries
 * with `name`) and `features`. Its `timeout` counts seconds.
 */

import { suggest } from "../lib/suggest.ts";
import { addServer } from "./client-keys.ts";
import { type ConfigPath, describeKind, quote } from "./issue.ts";
import { fromEntries } from "./mapping.ts";
import { addSection, isRawObject, type RawObject, type ShapeContext } from "./section.ts";

/** Keys of `proxy`, and the settings they are; undefined for those that are none here. */
const PROXY_KEYS: Readonly<Record<string, string | undefined>> = {
  host: "host",
  port: "port",
  log_level: "logLevel",
  name: undefined,
  transport: undefined,
};

/** Levels of other programs. */
const LEVELS: Readonly<Record<string, string>> = { warn: "warning", critical: "fatal" };

/** Maps `proxy`, `servers` and `features`. */
export function mapProxy(root: RawObject, context: ShapeContext): void {
  const { document, mapping } = context;
  for (const key of document.keys([])) {
    if (key === "proxy") mapSettings(root[key], context);
    else if (key === "features") reportFeatures(root[key], context);
    else if (key === "servers") mapServers(root[key], context);
    else if (key === "mcpServers") addSection(root[key], [key], context, withSeconds);
    else mapping.setting(key, root[key], [key]);
  }
}

function mapSettings(proxy: unknown, { document, mapping, collector }: ShapeContext): void {
  if (!isRawObject(proxy)) {
    collector.error(["proxy"], `found ${describeKind(proxy)}, expected an object`);
    return;
  }
  for (const key of document.keys(["proxy"])) {
    const path = ["proxy", key];
    const value = proxy[key];
    if (!Object.hasOwn(PROXY_KEYS, key)) {
      const nearest = suggest(key, Object.keys(PROXY_KEYS));
      const hint = nearest === undefined
        ? `, expected one of ${Object.keys(PROXY_KEYS).join(", ")}`
        : ` (did you mean "${nearest}"?)`;
      collector.error(path, `unknown key ${quote(key)}${hint}`, { part: "key" });
      continue;
    }
    const setting = PROXY_KEYS[key];
    if (setting !== undefined) {
      mapping.setting(setting, setting === "logLevel" ? level(value) : value, path);
    } else if (key === "name") {
      collector.warn(path, '"name" has no effect: the gateway is called mcproxy', { part: "key" });
    } else if (value === "stdio") {
      collector.warn(path, '"stdio" has no effect: the gateway listens', {
        remedy: 'start it with "mcproxy serve --stdio"',
      });
    } else if (typeof value !== "string") {
      collector.error(path, `found ${describeKind(value)}, expected a string`);
    }
  }
}

function level(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const name = value.toLowerCase();
  return Object.hasOwn(LEVELS, name) ? LEVELS[name] : name;
}

function reportFeatures(features: unknown, { document, collector }: ShapeContext): void {
  if (!isRawObject(features)) {
    collector.error(["features"], `found ${describeKind(features)}, expected an object`);
    return;
  }
  for (const name of document.keys(["features"])) {
    // What is switched off asks for nothing.
    if (features[name] === false) continue;
    collector.warn(["features", name], `feature ${quote(name)} is not known and ignored here`, {
      part: "key",
    });
  }
}

function mapServers(servers: unknown, context: ShapeContext): void {
  const { mapping, collector } = context;
  if (!Array.isArray(servers)) {
    addSection(servers, ["servers"], context, withSeconds);
    return;
  }
  mapping.openSection(["servers"]);
  servers.forEach((entry: unknown, index) => {
    const path: ConfigPath = ["servers", index];
    const name = isRawObject(entry) ? entry["name"] : undefined;
    if (!isRawObject(entry) || typeof name !== "string" || name === "") {
      collector.error(path, 'found a server without "name", expected an object with one');
    } else if (mapping.has(name)) {
      collector.error([...path, "name"], `found server ${quote(name)} a second time`, {
        remedy: "remove or rename one of them",
      });
    } else {
      const { name: _name, ...rest } = entry;
      addServer(name, withSeconds(name, rest), path, context);
    }
  });
}

function withSeconds(_name: string, entry: RawObject): RawObject {
  const { timeout } = entry;
  if (typeof timeout !== "number") return entry;
  return fromEntries([...Object.entries(entry), ["timeout", `${timeout}s`]]);
}
