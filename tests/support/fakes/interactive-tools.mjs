// What the tools of the interactive fake do. A tool gets a `Call`, may talk to the client through
// it, and returns what its result says, as JSON text. Everything carries the caller's `tag`.

/**
 * @typedef {{ method: string, params?: object }} Question
 * @typedef {{ result?: any, error?: any }} Answer
 *
 * @typedef {object} Call
 * @property {any} args
 * @property {string} tag
 * @property {(...questions: Question[]) => Promise<Answer[]>} ask puts them all at once
 * @property {(question: Question) => { id: number, answer: Promise<Answer> }} begin legacy only
 * @property {(method: string, params: object) => void} notify on the stream of this call
 * @property {(n: number, total: number) => void} progress
 * @property {(level: string, data: unknown) => void} log
 * @property {Promise<void>} cancelled settles when the client cancels this call
 */

/** An error instead of a result. */
export class Fault extends Error {
  /** @param {number} code @param {string} message @param {unknown} [data] */
  constructor(code, message, data) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** @param {string} tag @param {number} [round] @returns {Question} */
const form = (tag, round = 1) => ({
  method: "elicitation/create",
  params: {
    message: `${tag} ${round}`,
    requestedSchema: { type: "object", properties: { answer: { type: "string" } } },
  },
});

/** @param {string} tag @returns {Question} */
const url = (tag) => ({
  method: "elicitation/create",
  params: {
    mode: "url",
    elicitationId: `id of ${tag}`,
    url: "https://example.com/sign-in",
    message: `${tag} 1`,
  },
});

/** @param {string} tag @returns {Question} */
const sampling = (tag) => ({
  method: "sampling/createMessage",
  params: { messages: [{ role: "user", content: { type: "text", text: tag } }], maxTokens: 10 },
});

/** @type {Question} */
const roots = { method: "roots/list" };

/** @type {Map<string, (call: Call, core: import("./interactive-core.mjs").InteractiveCore) => unknown>} */
export const TOOLS = new Map(Object.entries({
  echo: ({ tag }) => ({ tag }),
  elicit: async ({ tag, ask }) => ({ tag, said: await ask(form(tag)) }),
  /** Asks by URL, and says afterwards that the other side of it is done. */
  elicit_url: async ({ tag, ask, notify }) => {
    const said = await ask(url(tag));
    notify("notifications/elicitation/complete", { elicitationId: `id of ${tag}` });
    return { tag, said };
  },
  sample: async ({ tag, ask }) => ({ tag, said: await ask(sampling(tag)) }),
  roots: async ({ tag, ask }) => ({ tag, said: await ask(roots) }),
  /** Three questions in one breath. */
  several: async ({ tag, ask }) => ({ tag, said: await ask(form(tag), sampling(tag), roots) }),
  /** Three questions, each after the answer to the one before. */
  rounds: async ({ tag, ask }) => {
    const first = await ask(form(tag, 1));
    const second = await ask(form(tag, 2));
    return { tag, said: [...first, ...second, ...await ask(form(tag, 3))] };
  },
  /** Asks once the gate `key` is open; says by progress that it waits. */
  ask_later: async (call, core) => {
    call.progress(0, 1);
    await core.pass(call);
    return { tag: call.tag, said: await call.ask(form(call.tag)) };
  },
  /** Asks, and takes the question back once the gate `key` is open. */
  give_up: async (call, core) => {
    const { id, answer } = call.begin(form(call.tag));
    const said = await Promise.race([answer, core.pass(call).then(() => "gave up")]);
    if (said === "gave up") call.notify("notifications/cancelled", { requestId: id });
    return { tag: call.tag, said };
  },
  /** Needs what only a URL elicitation can bring (2025-11-25). */
  need_url: ({ tag }) => {
    const { params } = url(tag);
    throw new Fault(-32042, `${tag} needs to sign in`, { elicitations: [params] });
  },
  /** Ends when the gate `key` is open, or not at all when cancelled. */
  wait: async (call, core) => {
    call.progress(0, 1);
    await core.pass(call);
    return { tag: call.tag };
  },
  /** Opens a gate. */
  tell: ({ tag, args }, core) => {
    core.open(String(args.key));
    return { tag };
  },
  /** `n` steps of progress. */
  progress: ({ tag, args, progress }) => {
    for (let i = 1; i <= args.n; i++) progress(i, args.n);
    return { tag };
  },
  /** One log line per level. */
  log: ({ tag, args, log }) => {
    for (const level of args.levels) log(level, tag);
    return { tag };
  },
  /** Everything at once: progress, log lines and two questions, mixed. */
  chatter: async ({ tag, progress, log, ask }) => {
    progress(1, 3);
    log("error", `${tag} begins`);
    const first = await ask(form(tag));
    progress(2, 3);
    const second = await ask(sampling(tag));
    log("error", `${tag} ends`);
    progress(3, 3);
    return { tag, said: [...first, ...second] };
  },
  /** Changes a resource. */
  touch: ({ tag, args }, core) => {
    core.touch(args.uri);
    return { tag };
  },
  /** What the connection of this call was told at its beginning. */
  declared: ({ tag, declared }) => ({ tag, declared }),
}));
