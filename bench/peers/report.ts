/** What was measured, or in words why it was not. */
export type Figure = number | string;

/** Everything that was measured at one run; what `bench/results/peers.json` holds. */
export interface PeerResults {
  readonly date: string;
  readonly machine: string;
  /** Ours first. */
  readonly sides: readonly string[];
  /** By the key of the figure, then by side. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, Figure>>>>;
  /** What else there is to tell: what could not be had or run. */
  readonly notes: readonly string[];
}

/** Keys of figures with their titles. More is better of rates, and less of all others. */
const LINES: Readonly<Record<string, string>> = {
  "latency/1": "call, one connection, p50 (ms)",
  "rate/16": "calls a second, 16 connections",
  "micros/16": "processor time a call, 16 connections (µs)",
  "idle/1x20": "memory, idle (MB)",
  "loaded/64": "memory, 64 connections call (MB)",
  "family/64": "the same with all its processes (MB)",
  "start/1x20": "start to the list with all tools (ms)",
  recovery: "SIGKILL of the upstream to the next answer (ms)",
  outage: "longest gap while a server is added (ms)",
  undisturbed: "longest gap without an edit (ms)",
};

/** What grows with what: the name of its plot, its title, and the key of the figure at each. */
const GROWTHS = [
  ["rate", "calls a second", "clients", "rate/@"],
  ["latency", "p50 of a call (ms)", "clients", "latency/@"],
  ["start", "start (ms)", "upstreams", "start/@x20"],
  ["memory", "memory, idle (MB)", "upstreams", "idle/@x20"],
  ["list", "p50 of a list (ms)", "tools", "list/1x@"],
  ["memory-tools", "memory, idle (MB)", "tools", "idle/1x@"],
] as const;

const COUNTS = {
  clients: ["1", "4", "16", "64"],
  upstreams: ["1", "10", "30"],
  tools: ["20", "200", "1000"],
};

/** The markdown of the section, with the plots at `images`. */
export function peersSection(results: PeerResults, images: string): string {
  const { sides, figures, date, machine, notes } = results;
  const row = (key: string, ...head: readonly string[]) => [
    ...head,
    ...sides.map((side) => written(figures[key]?.[side])),
  ];
  const plot = (title: string, name: string) => `![${title}](${images}/peers-${name}.svg)`;
  return [
    `Measured on ${date}: ${machine}.`,
    markdownTable(["", ...sides], Object.entries(LINES).map(([key, title]) => row(key, title))),
    plot(LINES["rate/16"]!, "calls"),
    othersBetter(results).join("\n"),
    "How it grows:",
    markdownTable(
      ["", "at", ...sides],
      GROWTHS.flatMap(([, title, along, key]) =>
        COUNTS[along].map((count) => row(key.replace("@", count), title, `${along}: ${count}`))
      ),
    ),
    GROWTHS.map(([name, title, along]) => plot(`${title} by ${along}`, name)).join("\n"),
    notes.map((note) => `- ${note}`).join("\n"),
  ].join("\n\n");
}

/** The plots, by file name. */
export function plots({ sides, figures }: PeerResults): Readonly<Record<string, string>> {
  const of = (key: string, side: string) => {
    const figure = figures[key]?.[side];
    return typeof figure === "number" ? figure : undefined;
  };
  const bars = sides.map((name) => ({ name, value: of("rate/16", name) }));
  return {
    "peers-calls.svg": barsPlot(LINES["rate/16"]!, bars),
    ...Object.fromEntries(GROWTHS.map(([plot, title, along, key]) => {
      const lines = sides.map((name) => ({
        name,
        values: COUNTS[along].map((count) => of(key.replace("@", count), name)),
      }));
      return [`peers-${plot}.svg`, linesPlot(`${title} by ${along}`, COUNTS[along], lines)];
    })),
  };
}

/** All that is compared, by its key: what the section's tables have. */
const COMPARED: Readonly<Record<string, string>> = {
  ...LINES,
  ...Object.fromEntries(
    GROWTHS.flatMap(([, title, along, key]) =>
      COUNTS[along].map((count) => [key.replace("@", count), `${title}, ${along}: ${count}`])
    ),
  ),
  ...LINES,
};

/**
 * What others do better than the better one of ours, by a tenth at least; baselines are none. Where
 * all of ours failed, whoever did not is better.
 */
function othersBetter({ sides, figures }: PeerResults): string[] {
  let compared = 0;
  const said = Object.entries(COMPARED).flatMap(([key, title]) => {
    const sign = key.startsWith("rate") ? -1 : 1;
    const known = sides.map((side) => {
      // One of ours has every line, so one that it has not comes after a step that failed.
      const figure = figures[key]?.[side] ?? "not measured";
      return { side, figure, cost: typeof figure === "number" ? sign * figure : Infinity };
    });
    const [ours] = known.filter(({ side }) => isOurs(side))
      .sort((a, b) => Number(a.cost > b.cost) - Number(a.cost < b.cost));
    const others = known.filter(({ side, cost }) =>
      !isOurs(side) && !side.startsWith("bare ") && cost < Infinity
    );
    if (ours === undefined || others.length === 0) return [];
    compared++;
    const tenth = typeof ours.figure === "number" ? ours.figure / 10 : 0;
    return others.filter(({ cost }) => ours.cost - cost > tenth).map(({ side, figure }) =>
      `- ${title}: **${side}** ${written(figure)}, ours ${
        unmarked(written(ours.figure))
      } (${ours.side})`
    );
  });
  if (compared === 0) return ["There is nothing to compare: no line has a figure of both sides."];
  return said.length === 0
    ? [
      `None of the others was better than ours by a tenth in any line that has both (${compared}).`,
    ]
    : ["Where others were better than the better one of ours, by a tenth or more:", "", ...said];
}

function isOurs(side: string): boolean {
  return side.startsWith("mcproxy");
}

/** A figure as a cell; "–" for what does not apply. */
export function written(figure: Figure | undefined): string {
  if (typeof figure !== "number") return figure ?? "–";
  return figure.toFixed(figure >= 100 ? 0 : figure >= 10 ? 1 : 2);
}

/** What someone else says, as no markup. */
function unmarked(text: string): string {
  return text.replace(/[\r\n]+/g, " ").replace(/[\\|<`]/g, "\\$&");
}

/** A table; what a cell says does not break it. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.map(unmarked).join(" | ")} |`;
  return [line(head), `|---|${"---:|".repeat(head.length - 1)}`, ...rows.map(line)].join("\n");
}

const COLOURS = [
  "#d9480f",
  "#f08c00",
  "#868e96",
  "#adb5bd",
  "#1c7ed6",
  "#2f9e44",
  "#ae3ec9",
  "#0c8599",
];
const WIDTH = 720;

/** A bar for each value that is known. */
export function barsPlot(
  title: string,
  bars: readonly { readonly name: string; readonly value: number | undefined }[],
): string {
  const most = Math.max(0, ...bars.map(({ value }) => value ?? 0));
  const drawn = bars.map(({ name, value }, at) => {
    const y = 40 + at * 26;
    const width = most === 0 ? 0 : (value ?? 0) / most * 380;
    return `<text x="230" y="${y + 14}" text-anchor="end">${escaped(name)}</text>` +
      `<rect x="240" y="${y}" width="${round(width)}" height="18" fill="${colour(at)}"/>` +
      `<text x="${round(246 + width)}" y="${y + 14}">${written(value)}</text>`;
  });
  return svg(title, 50 + bars.length * 26, drawn);
}

/** A line for each side, over evenly spaced steps; a value that is not known leaves a gap. */
export function linesPlot(
  title: string,
  steps: readonly string[],
  lines: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[],
): string {
  const most = Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const x = (at: number) => steps.length < 2 ? 230 : 60 + at * 340 / (steps.length - 1);
  const y = (value: number) => most === 0 ? 260 : 260 - value / most * 210;
  const axes = [0, 0.5, 1].map((share) => {
    const height = y(share * most);
    return `<path class="axis" d="M60 ${round(height)}H400"/>` +
      `<text x="52" y="${round(height + 4)}" text-anchor="end">${written(share * most)}</text>`;
  });
  const ticks = steps.map((step, at) =>
    `<text x="${round(x(at))}" y="280" text-anchor="middle">${escaped(step)}</text>`
  );
  let legend = 32;
  const drawn = lines.map(({ name, values }, at) => {
    const points = values.flatMap((value, step) =>
      value === undefined ? [] : [`${round(x(step))},${round(y(value))}`]
    );
    if (points.length === 0) return "";
    legend += 22;
    return `<g fill="${colour(at)}" stroke="${colour(at)}">` +
      `<polyline points="${points.join(" ")}" fill="none" stroke-width="2"/>` +
      points.map((point) => `<path d="M${point}h0" class="dot"/>`).join("") +
      `<path d="M430 ${legend}h18" stroke-width="4"/></g>` +
      `<text x="456" y="${legend + 4}">${escaped(name)}</text>`;
  });
  return svg(title, 295, [...axes, ...ticks, ...drawn]);
}

function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `width="${WIDTH}" height="${height}" role="img" font-family="sans-serif" font-size="12">` +
    `<title>${escaped(title)}</title><style>text{fill:#24292f}.axis{stroke:#8c959f;` +
    `stroke-width:.5}.dot{stroke-width:7;stroke-linecap:round}` +
    `@media (prefers-color-scheme:dark){text{fill:#e6edf3}}</style>\n` +
    `<text x="20" y="24" font-size="15">${escaped(title)}</text>\n${parts.join("\n")}\n</svg>\n`;
}

function colour(at: number): string {
  return COLOURS[at % COLOURS.length]!;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}
