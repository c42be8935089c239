/** How things are, in one sentence, and what somebody should look at: said here once, for everybody. */

import { cut, firstLine, shellWord } from "../lib/text.ts";
import { STATE_REASONS, type StateReason } from "../upstream/state.ts";
import type { ConfigState } from "./members/members.ts";

/** Something that somebody should look at; part of the public contract. */
export interface Attention {
  readonly kind: "server" | "login" | "pin" | "slow" | "errors" | "config" | "alert" | "advice";
  readonly level: "bad" | "warn" | "tip";
  /** A server, a rule, a setting. */
  readonly subject: string;
  readonly title: string;
  readonly text: string;
  /** What may be done: a path to post to, a command to run, or where to look. */
  readonly act?:
    & { readonly label: string }
    & ({ readonly post: string } | { readonly command: string } | { readonly href: string });
}

/** What is known of a server, as `/api/status` tells it. */
export interface ServerCondition {
  readonly name: string;
  readonly state: string;
  readonly reason?: StateReason | undefined;
  readonly health?: string | undefined;
  readonly healthDetail?: string | undefined;
  readonly lastError?: string | undefined;
  readonly pins?: { readonly waiting: number; readonly held: number } | undefined;
  /** Calls that wait. */
  readonly queued?: number | undefined;
}

/** What is known of the whole. */
export interface GatewayCondition {
  readonly servers: readonly ServerCondition[];
  readonly config: Pick<ReturnType<ConfigState["status"]>, "error" | "restartNeeded">;
  readonly pinProblem?: string | undefined;
  readonly stopping: boolean;
}

/** Whether a server is as it should be, troubled, away, or not wanted now. */
export function levelOf({ state, reason, health }: ServerCondition): "ok" | "warn" | "bad" | "off" {
  // Its turn to start has not come yet.
  if (state === "idle" && reason === undefined) return "warn";
  if (state === "disabled" || state === "idle") return "off";
  if (state === "ready") return health === "degraded" ? "warn" : "ok";
  return state === "connecting" && (reason ?? "starting") === "starting" ? "warn" : "bad";
}

const isStarting = (server: ServerCondition) =>
  server.state !== "ready" && levelOf(server) === "warn";

/** One sentence, or two: who answers, and what is wrong. It changes only when something has. */
export function sentenceOf({ servers, config, stopping }: GatewayCondition): string {
  if (stopping) return "The gateway is stopping.";
  const wanted = servers.filter(({ state }) => state !== "disabled");
  const refused = config.error === null ? "" : " The configuration file was refused.";
  if (wanted.length === 0) return `There is no server to ask.${refused}`;
  const of = (test: (server: ServerCondition) => boolean) => wanted.filter(test);
  const answering = of((one) => levelOf(one) === "ok").length;
  const troubled = of((one) => levelOf(one) === "warn" && !isStarting(one));
  const down = of((one) => levelOf(one) === "bad");
  const counted = answering === wanted.length
    ? wanted.length === 1 ? "The one server answers" : `All ${words(answering)} servers answer`
    : `${answering === 0 ? "None" : capital(words(answering))} of ${words(wanted.length)} servers ${
      answering < 2 ? "answers" : "answer"
    }`;
  const parts = [
    [of(isStarting).length, "is starting", "are starting"],
    [of((one) => levelOf(one) === "off").length, "rests until it is needed", "rest"],
  ] as const;
  const clauses = parts.flatMap(([count, one, more]) =>
    count === 0 ? [] : [`${words(count)} ${count === 1 ? one : more}`]
  );
  const why = down.length === 1 ? reasonText(down[0]!) : "";
  return [
    `${[counted, ...clauses].join(", ")}.`,
    said(down, "is down", "are down", why),
    said(troubled, "does not do what it is asked", "do not do what they are asked"),
  ].join("") + refused;
}

function said(servers: readonly ServerCondition[], one: string, more: string, why = ""): string {
  if (servers.length === 0) return "";
  const names = servers.slice(0, 3).map(({ name }) => cut(name, 40));
  const left = servers.length - names.length;
  if (left > 0) names.push(`${words(left)} more`);
  const last = names.pop()!;
  const subject = names.length === 0 ? last : `${names.join(", ")} and ${last}`;
  return ` ${subject} ${servers.length === 1 ? one : more}${why && `: ${why}`}.`;
}

function reasonText({ reason }: ServerCondition): string {
  return reason === undefined ? "" : STATE_REASONS[reason];
}

const WORDS = "no one two three four five six seven eight nine ten eleven twelve".split(" ");
const words = (count: number) => WORDS[count] ?? String(count);
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** The worst first, else in the order of the configuration. */
export function attentionOf(condition: GatewayCondition): Attention[] {
  const { servers, config, pinProblem } = condition;
  const found: Attention[] = servers.flatMap(aboutServer);
  if (config.error !== null) {
    const text = firstLine(config.error);
    const act = { label: "Show", href: "#/config" };
    const title = "The configuration file was refused";
    found.push({ kind: "config", level: "bad", subject: "", title, text, act });
  }
  if (pinProblem !== undefined) {
    const title = "What was approved cannot be read";
    found.push({ kind: "pin", level: "bad", subject: "", title, text: firstLine(pinProblem) });
  }
  if (config.restartNeeded.length > 0) {
    const subject = config.restartNeeded.join(", ");
    const text = "The file says otherwise than what is in force.";
    found.push({
      kind: "config",
      level: "tip",
      subject,
      title: `Restart to apply ${subject}`,
      text,
    });
  }
  return worstFirst(found);
}

/** In the order of levels, else as they come. */
export function worstFirst(found: readonly Attention[]): Attention[] {
  const rank = { bad: 0, warn: 1, tip: 2 };
  return found.toSorted((a, b) => rank[a.level] - rank[b.level]);
}

function aboutServer(server: ServerCondition): Attention[] {
  const { name: subject, reason, healthDetail, lastError, pins } = server;
  const found: Attention[] = [];
  const level = levelOf(server);
  const text = firstLine(lastError ?? capital(reasonText(server)));
  const command = (name: string) => `mcproxy ${name} ${shellWord(subject)}`;
  if (reason === "login") {
    const act = { label: "Log in", command: command("login") };
    found.push({
      kind: "login",
      level: "bad",
      subject,
      title: `${subject} wants a login`,
      text,
      act,
    });
  } else if (level === "bad") {
    const act = { label: "Retry", post: `api/servers/${encodeURIComponent(subject)}/restart` };
    found.push({ kind: "server", level, subject, title: `${subject} is down`, text, act });
  } else if (level === "warn" && !isStarting(server)) {
    const title = `${subject} does not do what it is asked`;
    found.push({ kind: "server", level, subject, title, text: firstLine(healthDetail ?? text) });
  }
  if (pins !== undefined && pins.waiting > 0) {
    const { waiting, held } = pins;
    const title = `${waiting} of ${subject}'s definitions ${
      waiting === 1 ? "is" : "are"
    } not approved`;
    const text = held > 0 ? "They are held back until they are." : "They are other than they were.";
    const act = { label: "Approve", command: command("approve") };
    found.push({ kind: "pin", level: "warn", subject, title, text, act });
  }
  return found;
}
