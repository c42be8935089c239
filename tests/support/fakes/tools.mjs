// What the built-in tools of a fake do. A tool gets a `Call` and answers through it, or does not.

import process from "node:process";

/**
 * @typedef {object} Call
 * @property {string} idText JSON text of the request's id
 * @property {string} raw the request as it arrived
 * @property {Record<string, any>} args
 * @property {string | undefined} tokenText JSON text of the progress token
 * @property {Promise<void>} cancelled settles when the client cancels this call
 * @property {boolean} isCancelled
 * @property {(resultText: string) => void} result
 * @property {(resultText: string) => string} resultMessage the text of the response, not sent
 * @property {(errorText: string) => void} error
 * @property {(...raws: string[]) => void} send raw messages in one write
 * @property {(raw: string) => void} sendPart text without an end, as before a crash
 */

/** @param {unknown} value @returns {string} a tool result with one text */
export function textResult(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `{"content":[{"type":"text","text":${JSON.stringify(text)}}]}`;
}

/** A result with everything a typed client would drop or round. */
export const ODD_RESULT =
  '{ "content":[{"type":"hologram","frames":[1.0,2],"x":null},{"type":"text","text":"t","extra":true}],' +
  '"structuredContent":{"big":12345678901234567890,"huge":1e400,"float":1.0,"2":"b","1":"a"},' +
  '"vendorField":{"deep":[{"er":-0.0}]} , "_meta":{"vendor.example/x":"\\u00fc"} }';

/** @param {Call} call @param {number} n @param {number} total */
function progressText(call, n, total) {
  return `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${call.tokenText},` +
    `"progress":${n},"total":${total},"message":"step ${n}","x-vendor":1.0}}`;
}

/** @param {unknown} value */
const idResponse = (value) =>
  `{"jsonrpc":"2.0","id":${value},"result":{"content":[{"type":"text","text":"not yours"}]}}`;

/**
 * Every built-in tool by name.
 * @type {Map<string, (call: Call, core: import("./core.mjs").FakeCore) => void | Promise<void>>}
 */
export const BEHAVIOURS = new Map(Object.entries({
  /** Its arguments, as text. */
  echo: (call) => call.result(textResult(call.args)),
  /** The request as it arrived, as text. */
  raw: (call) => call.result(textResult(call.raw)),
  odd: (call) => call.result(ODD_RESULT),
  env: (call) => call.result(textResult(process.env)),
  pid: (call) => call.result(textResult(String(process.pid))),
  /** A text of `bytes` characters. */
  large: (call) => {
    // Not by JSON.stringify(), which reads all of it.
    const text = "x".repeat(Number(call.args.bytes));
    call.result(`{"content":[{"type":"text","text":"${text}"}]}`);
  },
  fail: (call) =>
    call.result('{"content":[{"type":"text","text":"it went wrong"}],"isError":true}'),
  rpc_error: (call) =>
    call.error('{"code":-32077,"message":"my own words","data":{"n":12345678901234567890}}'),

  /** `n` notifications, then the result. */
  progress: (call) => {
    const n = Number(call.args.n);
    for (let i = 1; call.tokenText !== undefined && i <= n; i++) {
      call.send(progressText(call, i, n));
    }
    call.result(textResult("progressed"));
  },
  /** One notification and the result in one write. */
  progress_chunk: (call) => {
    const result = call.resultMessage(textResult("progressed"));
    if (call.tokenText === undefined) call.send(result);
    else call.send(progressText(call, 1, 1), result);
  },
  /** Progress for nobody's token, then the result. */
  progress_stray: (call) => {
    call.send(progressText({ ...call, tokenText: '"nobody"' }, 1, 1));
    call.result(textResult("strayed"));
  },

  /**
   * Ends when `release` is called with the same `key`; says so by progress when it has begun, and
   * then again each `every` ms.
   */
  wait: async (call, core) => {
    let n = 0;
    const tell = () => {
      if (call.tokenText !== undefined) call.send(progressText(call, n++, 1));
    };
    tell();
    const { every } = call.args;
    const timer = every === undefined ? undefined : setInterval(tell, Number(every));
    await Promise.race([core.park(String(call.args.key)), call.cancelled]);
    clearInterval(timer);
    if (!call.isCancelled) call.result(textResult(`released ${call.args.key}`));
  },
  /** Answers once a `wait` of this `key` is in flight. */
  parked: async (call, core) => {
    await core.parked(String(call.args.key));
    call.result(textResult("parked"));
  },
  /** Lets a `wait` of this `key` end; waits for it to begin. */
  release: async (call, core) => {
    await core.release(String(call.args.key));
    call.result(textResult("done"));
  },
  /**
   * What was cancelled (arguments of the call, null for an unknown id), once a call with this
   * `key` was; at once without a `key`.
   */
  cancellations: async (call, core) => {
    if (call.args.key !== undefined) await core.cancelled(call.args.key);
    call.result(textResult(core.cancellations));
  },
  never: () => {},
  /** Answers only after it was cancelled: the answer must reach nobody. */
  late: async (call) => {
    await call.cancelled;
    call.result(textResult("too late"));
  },

  twice: (call) => {
    const once = call.resultMessage(textResult("first"));
    call.send(once, once);
    call.send(call.resultMessage(textResult("second")));
  },
  /** Answers a request that was answered before, then its own. */
  old_id: (call, core) => {
    if (core.answeredId !== undefined) call.send(idResponse(core.answeredId));
    call.result(textResult("mine"));
  },
  unknown_id: (call) => {
    call.send(idResponse(987654321), idResponse('"no-such-id"'), idResponse("null"));
    call.result(textResult("mine"));
  },
  /** Everything that is no message, then the result. */
  garbage: (call) => {
    call.send("Listening on port 3000", "{", '"text"', "[]", "{}", '{"jsonrpc":"1.0","id":1}', "");
    call.result(textResult("after garbage"));
  },
  /** A response that is none. */
  bad_result: (call) => call.send(`{"jsonrpc":"2.0","id":${call.idText},"result":"no object"}`),
  crash: (_call, core) => core.effects.exit(7),
  /** Half an answer, then the end. */
  crash_mid: (call, core) => {
    call.sendPart(call.resultMessage(textResult("never whole")).slice(0, 40));
    core.effects.exit(8);
  },

  /** Adds and removes items of a kind (`add`, `remove`: key), then says that the list changed. */
  change: (call, core) => {
    core.change(call.args.kind, call.args.add, call.args.remove);
    call.result(textResult("changed"));
  },
  /** Says that a list changed that did not. */
  cry_wolf: (call, core) => {
    core.change(call.args.kind ?? "tools", undefined, undefined);
    call.result(textResult("wolf"));
  },
  /** How often each method was received. */
  counts: (call, core) => call.result(textResult(Object.fromEntries(core.counts))),
  /** Asks the client (`method`, `params`) and returns its answer, as text. */
  ask: async (call, core) => {
    call.result(textResult(await core.ask(call, call.args.method, call.args.params)));
  },
  /** `lines` lines on stderr. */
  stderr: (call, core) => {
    for (let i = 0; i < Number(call.args.lines); i++) {
      core.effects.stderr(`${call.args.text} ${i}\n`);
    }
    call.result(textResult("talked"));
  },
  /** Starts a process of its own and returns its id. */
  grandchild: (call, core) => call.result(textResult(String(core.effects.grandchild()))),
}));
