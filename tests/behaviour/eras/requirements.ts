/** A generation of the protocol: 2024-11-05 to 2025-11-25, or 2026-07-28. */
export type Era = "legacy" | "modern";

/** Who talks to whom. */
export interface Cell {
  readonly client: Era;
  readonly upstream: Era;
}

/** The cells of docs/eras.md, written `client -> upstream`. */
export const CELLS = {
  "legacy -> legacy": { client: "legacy", upstream: "legacy" },
  "legacy -> modern": { client: "legacy", upstream: "modern" },
  "modern -> legacy": { client: "modern", upstream: "legacy" },
  "modern -> modern": { client: "modern", upstream: "modern" },
} as const satisfies Record<string, Cell>;

/** A key of {@link CELLS}. */
export type CellName = keyof typeof CELLS;

/** What holds whichever eras meet, and where it stands. */
export interface EraRequirement {
  /** A section of the specification, or a page of the documentation. */
  readonly source: string;
  readonly behaviour: string;
  /** Where the behaviour exists; default everywhere. */
  readonly cells?: readonly CellName[];
}

/** Every row has exactly one test per cell and way of running; `coverage.test.ts` proves it. */
const TABLE = {
  "lists": {
    source: "spec 2025-11-25, server/utilities/pagination",
    behaviour: "each list holds the upstream's items with every unknown member and number text",
  },
  "call.arguments": {
    source: "spec 2025-11-25, server/tools",
    behaviour: "arguments, unknown members and _meta arrive at the upstream text by text",
  },
  "call.result": {
    source: "spec 2025-11-25, server/tools",
    behaviour: "a result keeps unknown content, unknown members and big numbers",
  },
  "call.error": {
    source: "spec 2025-11-25, basic",
    behaviour: "an upstream's JSON-RPC error keeps its code, words and data",
  },
  "call.unknown": {
    source: "spec 2025-11-25, server/tools",
    behaviour: "a tool or a prompt that nobody has is -32602 and named",
  },
  "resources.unknown": {
    source: "spec 2025-11-25, server/resources",
    behaviour: "a resource that nobody has is -32002 within the legacy era, else -32602",
  },
  "resources.read": {
    source: "spec 2025-11-25, server/resources",
    behaviour: "resources/read gives what the upstream gives, by URI and by template",
  },
  "prompts.get": {
    source: "spec 2025-11-25, server/prompts",
    behaviour: "prompts/get takes arguments to the owner and its messages back",
  },
  "method.unknown": {
    source: "spec 2025-11-25, basic",
    behaviour: "an unknown method is -32601 on every endpoint",
  },
  "progress.order": {
    source: "spec 2025-11-25, basic/utilities/progress",
    behaviour: "progress has the client's own token, number or text, and comes before the answer",
  },
  "progress.last": {
    source: "spec 2025-11-25, basic/utilities/progress",
    behaviour: "progress in one write with the answer is not lost",
  },
  "cancel": {
    source: "spec 2025-11-25, basic/utilities/cancellation",
    behaviour: "a cancelled call is cancelled at the upstream, and nothing more is heard of it",
  },
  "elicitation.form": {
    source: "spec 2025-11-25, client/elicitation",
    behaviour: "a form reaches the client whose call needs it, and its answer the call",
  },
  "elicitation.url": {
    source: "spec 2025-11-25, client/elicitation",
    behaviour: "a URL to visit reaches the client with its id, and its consent the call",
  },
  "elicitation.incapable": {
    source: "spec 2025-11-25, client/elicitation",
    behaviour: "a client that declares no elicitation is not asked, and the call still ends",
    // Between equals of 2026-07-28 the upstream itself knows, see "capabilities.own".
    cells: ["legacy -> legacy", "legacy -> modern", "modern -> legacy"],
  },
  "capabilities.own": {
    source: "spec 2026-07-28, basic",
    behaviour: "the upstream is told the calling client's own capabilities, with every request",
    cells: ["modern -> modern"],
  },
  "sampling": {
    source: "spec 2025-11-25, client/sampling",
    behaviour: "a sampling request reaches the client whose call needs it, and its answer the call",
  },
  "roots": {
    source: "spec 2025-11-25, client/roots",
    behaviour: "a call that asks for roots is told those of its own client",
  },
  "questions.breath": {
    source: "docs/eras.md",
    behaviour: "questions put in one breath are asked before any of them is answered",
  },
  "questions.rounds": {
    source: "docs/eras.md",
    behaviour: "a call asks three times, each time after the answer before",
  },
  "questions.mixed": {
    source: "docs/architecture.md",
    behaviour: "progress, log lines and questions of one call keep their order",
  },
  "questions.verbatim": {
    source: "docs/eras.md",
    behaviour: "input_required and the retry that answers it pass unchanged",
    cells: ["modern -> modern"],
  },
  "state.altered": {
    source: "docs/eras.md",
    behaviour: "requestState that was altered, or belongs to other parameters, is refused",
    cells: ["modern -> legacy"],
  },
  "state.replayed": {
    source: "docs/eras.md",
    behaviour: "requestState is good once, and never after its call has ended",
    cells: ["modern -> legacy"],
  },
  "logging.level": {
    source: "spec 2025-11-25, server/utilities/logging",
    behaviour: "log lines of a call reach its client from the level on that it asked for",
  },
  "resources.updated": {
    source: "spec 2025-11-25, server/resources",
    behaviour: "a changed resource is told to who subscribed to it, and to nobody else",
  },
  "execute.arguments": {
    source: "docs/architecture.md",
    behaviour: "execute_tool calls the tool with the very text of the arguments within its own",
  },
  "execute.result": {
    source: "docs/architecture.md",
    behaviour: "what an executed tool returns comes back text by text, as from a direct call",
  },
  "execute.error": {
    source: "docs/architecture.md",
    behaviour: "an executed tool's errors, JSON-RPC's and its own, are those of a direct call",
  },
  "execute.progress": {
    source: "spec 2025-11-25, basic/utilities/progress",
    behaviour: "progress of an executed tool has the token of the execution",
  },
  "execute.cancel": {
    source: "spec 2025-11-25, basic/utilities/cancellation",
    behaviour: "a cancelled execution is cancelled at the upstream, and is heard of no more",
  },
  "execute.questions": {
    source: "spec 2025-11-25, client/elicitation",
    behaviour: "an executed tool asks its client, three times if it must, and hears the answers",
  },
  "execute.state": {
    source: "docs/eras.md",
    behaviour: "requestState of an execution is good for the same tool and arguments only",
    cells: ["modern -> legacy"],
  },
  "execute.unknown": {
    source: "docs/architecture.md",
    behaviour: "an execution of what nobody has is a result that names what is near",
  },
  "lists.changed": {
    source: "spec 2025-11-25, server/tools",
    behaviour: "a list that changed is announced by its kind, and listed as it is then",
  },
} as const satisfies Record<string, EraRequirement>;

/** The ids of all rows. */
export type EraRequirementId = keyof typeof TABLE;

/** All rows by id. */
export const eraRequirements: ReadonlyMap<EraRequirementId, EraRequirement> = new Map(
  Object.entries(TABLE) as [EraRequirementId, EraRequirement][],
);
