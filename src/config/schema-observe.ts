/** The `metrics`, `history`, `otel`, `dashboard` and `alerts` of the file: what is to be seen. */

import * as v from "valibot";
import { parseGlob } from "../lib/glob.ts";
import { isObject } from "../lib/json.ts";
import { didYouMean, suggest } from "../lib/suggest.ts";
import { isLoopback } from "../lib/text.ts";
import { type ConfigPath, quote } from "./issue.ts";
import {
  about,
  type Checked,
  choice,
  chosen,
  count,
  duration,
  flag,
  nearestHint,
  optional,
  textMap,
} from "./schema-parts.ts";
import { members } from "./schema-shaping.ts";
import type { IssueCollector } from "./validate.ts";

/** An object, or what is short for one: issues are about the one that was meant. */
function orObject<const Short extends v.GenericSchema, const Whole extends v.GenericSchema>(
  short: Short,
  whole: Whole,
) {
  return chosen(v.union([short, whole]), ({ value }) => isObject(value) ? whole : short);
}

function bytes(least: number, description: string, example: number) {
  const expected = `a number of bytes, at least ${least}`;
  return count(least, Number.MAX_SAFE_INTEGER, description, { example, expected });
}

const history = members(optional({
  days: count(1, 3_650, "For how many days single calls are kept; the sums of hours for 400.", {
    example: 7,
    expected: "a number of days, at least 1",
  }),
  maxSize: bytes(1_048_576, "Bytes of the file, beyond which the oldest calls go.", 268_435_456),
  bodies: choice(
    ["off", "errors", "all"],
    "Whose arguments and results are kept, secrets masked: nobody's, those of calls that failed, " +
      "or all.",
  ),
}, { days: 30, maxSize: 67_108_864, bodies: "off" }));

/** How long what is kept of calls. */
export type HistoryConfig = Checked<typeof history>;

const COLLECTOR = "http://127.0.0.1:4318";
const SIGNAL_PATH = /\/v1\/(?:traces|logs|metrics)\/?$/;
const ENDPOINT_HINT = `the address of a collector such as "${COLLECTOR}"`;

const endpoint = v.pipe(
  v.string(ENDPOINT_HINT),
  v.check((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ""), ENDPOINT_HINT),
  v.check(
    (value) => !SIGNAL_PATH.test(URL.parse(value)?.pathname ?? ""),
    'the address without "/v1/traces": that comes behind it for each signal',
  ),
  v.metadata(about("Base address of a collector that takes OTLP over HTTP.", COLLECTOR)),
  v.transform((value) => value.replace(/\/+$/, "")),
);

const SIGNALS = ["traces", "logs", "metrics"] as const;
const SHARE_HINT = "a share from 0 (none) to 1 (all)";

const otel = members({
  endpoint,
  ...optional({
    headers: textMap("Headers sent with everything.", { Authorization: "Bearer ${TOKEN}" }),
    sample: v.pipe(
      v.number(SHARE_HINT),
      v.minValue(0, SHARE_HINT),
      v.maxValue(1, SHARE_HINT),
      v.metadata(about("Which share of traces is kept where the caller has not decided.", 0.1)),
    ),
    signals: v.pipe(
      v.array(choice(SIGNALS, "What is sent."), "an array of signals"),
      v.minLength(1, 'at least one of "traces", "logs" and "metrics"'),
      v.metadata(about("What is sent.", ["traces"])),
    ),
  }, { headers: () => ({}), sample: 1, signals: () => [...SIGNALS] }),
});

/** Where traces, log and metrics are sent. */
export type OtelConfig = Checked<typeof otel>;

const MODES = ["auto", "on", "off"] as const;
const DASHBOARD_HINT = '"auto", "on" or "off", or an object with "mode" and "edit"';
const mode = choice(
  MODES,
  "Without auth: to whom the pages and what they show are answered: who is on this machine and " +
    "came by no proxy, whoever reaches the listener, or nobody.",
);
const dashboard = members(optional({
  mode,
  edit: flag("Whether the configuration may be saved in the browser."),
}, { mode: "auto", edit: false }));
const dashboardWord = v.picklist(MODES, ({ input }) => DASHBOARD_HINT + nearestHint(input, MODES));

/** The pages: who may see them, and whether they may save the configuration. */
export type DashboardConfig = Checked<typeof dashboard>;

const CHANNEL_HINT = '"https://…", "ntfy:https://…/topic", "slack:https://…", or an object with ' +
  '"command"';

type Channel =
  | { readonly kind: "webhook" | "ntfy" | "slack"; readonly url: string }
  | { readonly kind: "command"; readonly command: readonly string[] };

function channelOf(text: string): Channel | undefined {
  const [, kind = "webhook", url = ""] = /^(?:(ntfy|slack):)?(https?:\/\/.*)$/s.exec(text) ?? [];
  const { protocol, hostname, pathname } = URL.parse(url) ?? {};
  const isSafe = protocol === "https:" || (protocol === "http:" && isLoopback(hostname ?? ""));
  if (!isSafe || (kind === "ntfy" && pathname === "/")) return undefined;
  return { kind: kind as "webhook", url };
}

const address = v.pipe(
  v.string(CHANNEL_HINT),
  v.check((text) => channelOf(text) !== undefined, CHANNEL_HINT),
  v.transform((text): Channel => channelOf(text)!),
);
const command = v.pipe(
  members({
    command: v.pipe(
      v.array(v.pipe(v.string("a string"), v.nonEmpty("a string that is not empty"))),
      v.minLength(1, "at least the name of a program"),
      v.metadata(about("A program that gets the alert as JSON on stdin.", ["mail-alert", "me"])),
    ),
  }),
  v.transform(({ command }): Channel => ({ kind: "command", command })),
);

const servers = v.pipe(
  v.array(v.string("a string"), "an array of names of servers"),
  v.minLength(1, "at least one name of a server, or a pattern"),
  v.metadata(about("Servers it is about, by name or pattern; all of them by default.", ["fetch"])),
);
const forLong = duration(0, "How long it has to last.", "2m");
const span = duration(1_000, "Over how long it is looked at.", "10m");
const percent = count(1, 100, "Percent of calls that fail.", { example: 20 });
const least = count(1, 1_000_000, "Of at least so many calls.", { example: 10 });
const p95 = duration(1, "What 95 of 100 calls do not exceed.", "5s");
const waiting = count(0, 1_000_000, "How many calls wait.", { example: 10 });
const resident = bytes(1_048_576, "Resident bytes of the gateway.", 536_870_912);
const ERRORS = { above: 20, of: 10, in: "5m" } as const;

function rule<const When extends string, const Entries extends v.ObjectEntries>(
  when: When,
  entries: Entries,
) {
  return members({ when: v.literal(when), ...entries });
}

/** What can be told of, with the members and defaults of each. */
const rules = [
  rule("down", optional({ servers, for: forLong }, { for: "2m" })),
  rule("errors", optional({ servers, above: percent, of: least, in: span }, ERRORS)),
  rule("slow", { ...optional({ servers, in: span }, { in: "10m" }), p95 }),
  rule("queue", { ...optional({ servers, for: forLong }, { for: "1m" }), above: waiting }),
  rule("config", optional({ servers })),
  rule("memory", { ...optional({ servers }), above: resident }),
  rule("login", optional({ servers })),
  rule("pin", optional({ servers })),
] as const;
const KINDS = rules.map(({ entries }) => entries.when.literal);

const unknownRule = v.looseObject({ when: choice(KINDS, "What is to be told of.") }, "an object");
const anyRule = chosen(v.union(rules), ({ value }) => {
  return rules[isObject(value) ? KINDS.indexOf(value["when"] as "down") : -1] ?? unknownRule;
});

const DEFAULT_RULES = [{ when: "down" }, { when: "errors" }, { when: "config" }] as const;

const alerts = members({
  to: v.pipe(
    v.array(
      chosen(
        v.union([address, command]),
        ({ value }) => isObject(value) ? command : address,
      ),
      "an array of channels",
    ),
    v.metadata(about(
      "Whom it is told: a webhook, a topic of ntfy, Slack, a program.",
      ["ntfy:https://ntfy.example/mcproxy", { command: ["mail-alert"] }],
    )),
  ),
  rules: v.optional(
    v.pipe(
      v.array(anyRule, "an array of rules"),
      v.metadata(about(
        "What is told: when a server is down, calls fail (errors), are slow or queue, config is " +
          "refused, memory grows, a login or the approval of definitions (pin) is wanted.",
        [{ when: "slow", servers: ["fetch"], p95: "5s", in: "10m" }],
      )),
    ),
    () => [...DEFAULT_RULES],
  ),
});

/** What is told to whom. */
export type AlertsConfig = Checked<typeof alerts>;
/** Where an alert is told; its URL is a secret. */
export type AlertChannel = AlertsConfig["to"][number];
/** What is watched. */
export type AlertRule = AlertsConfig["rules"][number];

/** The settings about seeing what goes on. */
export const observeOptions = {
  metrics: flag("Whether numbers are given to Prometheus at /metrics."),
  history: v.pipe(
    orObject(
      v.literal("off", '"off", or an object with "days", "maxSize" and "bodies"'),
      history,
    ),
    v.metadata(about('What is kept of calls on disk: "off", or an object.', { days: 7 }, "off")),
  ),
  otel: v.pipe(
    orObject(v.pipe(endpoint, v.transform((endpoint) => v.parse(otel, { endpoint }))), otel),
    v.metadata(about(
      "Where traces, log and metrics are sent by OpenTelemetry: an address, or an object; by " +
        "default what OTEL_EXPORTER_OTLP_ENDPOINT says.",
      COLLECTOR,
    )),
  ),
  dashboard: v.pipe(
    orObject(
      v.pipe(dashboardWord, v.transform((mode) => v.parse(dashboard, { mode }))),
      dashboard,
    ),
    v.metadata(about(
      "Who sees the pages, without auth, and whether they save: the mode alone, or an object.",
      "on",
      { mode: "auto", edit: true },
    )),
  ),
  alerts: v.pipe(
    alerts,
    v.metadata(about(
      "What is told to whom when something is wrong; with to alone, servers that are down, calls " +
        "that fail and a configuration that is refused.",
      { to: ["ntfy:https://ntfy.example/mcproxy"] },
    )),
  ),
};

/** Reports servers that rules name and nobody has, and what crosses the network in the clear. */
export function checkObserved(
  { alerts, otel }: {
    readonly alerts?: AlertsConfig | undefined;
    readonly otel?: OtelConfig | undefined;
  },
  names: readonly string[],
  collector: Pick<IssueCollector, "error" | "warn">,
): void {
  const isBare = otel !== undefined && !isLoopback(new URL(otel.endpoint).hostname) &&
    otel.endpoint.startsWith("http:");
  if (isBare && Object.keys(otel.headers).length > 0) {
    collector.warn(["otel"], "its headers cross the network unencrypted", {
      remedy: "use https, or a collector on this machine",
    });
  }
  alerts?.rules.forEach(({ when, servers = [] }, index) => {
    const path: ConfigPath = ["alerts", "rules", index, "servers"];
    if (servers.length > 0 && (when === "config" || when === "memory")) {
      collector.warn(path, `"${when}" is about the gateway itself, whatever its servers`, {
        part: "key",
      });
    }
    servers.forEach((pattern, at) => {
      const { matches } = parseGlob(pattern);
      if (names.some((name) => matches(name))) return;
      const near = suggest(pattern, names);
      const hint = near === undefined
        ? `expected one of ${names.slice(0, 20).map(quote).join(", ")}`
        : `expected the name of one${didYouMean(near)}`;
      collector.error([...path, at], `${quote(pattern)} is the name of no server, ${hint}`);
    });
  });
}
