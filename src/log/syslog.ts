import { hostname } from "node:os";
import process from "node:process";
import { type Entry, syslogBody } from "./entry.ts";
import { priority } from "./level.ts";

/** Who speaks, in every syslog message. */
export interface SyslogIdentity {
  readonly host: string;
  readonly app: string;
  readonly pid: number;
}

/** This process as it shows in syslog. */
export function syslogIdentity(): SyslogIdentity {
  return { host: hostname(), app: "mcproxy", pid: process.pid };
}

/**
 * One RFC 5424 message:
 * `<30>1 2026-11-20T20:00:00.123Z host mcproxy 4711 upstream - upstream memory: Ready  tools=9`.
 * MSGID is the part of the program that speaks. There is no structured data (the fields are in the
 * message, where people look) and no byte order mark before the UTF-8 (receivers print it).
 */
export function rfc5424(entry: Entry, who: SyslogIdentity): string {
  const time = new Date(entry.time).toISOString();
  const msgid = headerPart(entry.category.split(" ")[0] ?? "", 32);
  const { host, app, pid } = who;
  return `<${priority(entry.level)}>1 ${time} ${headerPart(host, 255)} ${headerPart(app, 48)} ` +
    `${pid} ${msgid} - ${syslogBody(entry)}`;
}

/**
 * The form of syslog(3), `<30>Nov 20 20:00:00 mcproxy[4711]: …` with local time: the only one
 * systemd's journal reads on its `/dev/log` (systemd issue 19251); it takes an RFC 5424 header for
 * a part of the message.
 */
export function localSyslog(entry: Entry, who: SyslogIdentity): string {
  const time = new Date(entry.time);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
  const date = `${MONTHS[time.getMonth()]} ${String(time.getDate()).padStart(2)}`;
  return `<${priority(entry.level)}>${date} ${clock} ${who.app}[${who.pid}]: ${syslogBody(entry)}`;
}

/** The first `limit` bytes, never ending inside a character. */
export function limitBytes(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** PRINTUSASCII of limited length, or the nil value. */
function headerPart(text: string, length: number): string {
  return text.replace(/[^!-~]/g, "").slice(0, length) || "-";
}
