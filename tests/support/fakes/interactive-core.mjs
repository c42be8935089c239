// An upstream that talks back: it asks, logs, reports, and tells of changes. Transport-free;
// `interactive.ts` puts it behind stdio and HTTP. What it hears goes to its `report`.

import { Fault, TOOLS } from "./interactive-tools.mjs";

/**
 * @typedef {object} InteractiveSpec
 * @property {string} name
 * @property {"legacy" | "modern"} [era]
 * @property {readonly string[]} [tools] default: all
 * @property {boolean} [rootsAtStart] asks for roots as soon as it is initialised
 *
 * @typedef {object} Peer where answers to one message go
 * @property {(...raws: string[]) => void} send
 * @property {() => void} end nothing more comes here
 *
 * @typedef {import("./interactive-tools.mjs").Call} Call
 * @typedef {import("./interactive-tools.mjs").Answer} Answer
 * @typedef {import("./interactive-tools.mjs").Question} Question
 */

const META = "io.modelcontextprotocol/";
const MODERN = "2026-07-28";
const LEVELS = "debug info notice warning error critical alert emergency".split(" ");
const URIS = ["note://a", "note://b"];

/** Thrown through a modern tool to answer `input_required`; the tool runs again at the retry. */
class Suspended {
  /** @param {Question[]} questions @param {Answer[][]} answered */
  constructor(questions, answered) {
    this.questions = questions;
    this.answered = answered;
  }
}

/** See the top of the file. */
export class InteractiveCore {
  /** @type {Map<string, { promise: Promise<void>, resolve: () => void }>} */
  #gates = new Map();
  /** @type {Set<InteractiveConnection>} */
  connections = new Set();
  #count = 0;

  /**
   * @param {InteractiveSpec} spec
   * @param {(event: Record<string, unknown>) => void} report
   */
  constructor(spec, report) {
    this.spec = spec;
    this.report = report;
  }

  /**
   * Begins a connection; `label` names it in reports.
   * @param {(raw: string) => void} standing reaches the client outside any request (legacy)
   */
  connect(standing, label = `${this.spec.name}#${++this.#count}`) {
    const connection = new InteractiveConnection(this, standing, label);
    this.connections.add(connection);
    this.report({ kind: "opened", connection: label });
    return connection;
  }

  /** @param {string} key */
  #gate(key) {
    const gate = this.#gates.get(key) ?? deferred();
    this.#gates.set(key, gate);
    return gate;
  }

  /** Opens a gate for good. @param {string} key */
  open(key) {
    this.#gate(key).resolve();
  }

  /** Waits at the gate a call names. @param {Call} call */
  pass({ args, tag }) {
    this.report({ kind: "waiting", key: args.key, tag });
    return this.#gate(String(args.key)).promise;
  }

  /** Tells every subscriber. @param {string} uri */
  touch(uri) {
    for (const connection of this.connections) connection.touched(uri);
  }

  /** Does what the test says, outside any call. @param {any} command */
  command({ open, touch, ask, log }) {
    if (open !== undefined) this.open(open);
    if (touch !== undefined) this.touch(touch);
    if (log !== undefined) { for (const one of this.connections) one.log(log.level, log.data); }
    if (ask !== undefined) { for (const one of this.connections) one.askOutside(ask); }
  }
}

/** One connection of a client: a process, a session, or all of a modern client's requests. */
export class InteractiveConnection {
  level = "info";
  /** @type {any} parameters of `initialize` */
  declared;
  /** @type {Set<string>} */
  subscriptions = new Set();
  /** @type {Map<number, (answer: Answer) => void>} */
  #asked = new Map();
  /** Every connection counts anew, so that equal ids meet in whoever joins several. */
  #nextId = 1;
  /** @type {Map<string, { cancel: () => void, tag: string }>} calls in flight by id text */
  #calls = new Map();
  /** @type {Map<string, { filter: any, peer: Peer }>} */
  #listens = new Map();

  /** @param {InteractiveCore} core @param {(raw: string) => void} standing @param {string} label */
  constructor(core, standing, label) {
    this.core = core;
    this.standing = standing;
    this.label = label;
  }

  close() {
    this.core.connections.delete(this);
    this.core.report({ kind: "closed", connection: this.label });
  }

  /** Takes one message. @param {string} raw @param {Peer} peer */
  handle(raw, peer) {
    const message = JSON.parse(raw);
    this.core.report({ kind: "received", connection: this.label, message });
    if (message.method === undefined) {
      this.#asked.get(message.id)?.(message);
      this.#asked.delete(message.id);
      return peer.end();
    }
    if (message.id === undefined) {
      this.#notified(message);
      return peer.end();
    }
    this.#request(message, peer);
  }

  /** A modern client has closed the stream of a request. @param {unknown} id */
  abandoned(id) {
    this.#cancel(JSON.stringify(id));
  }

  /** @param {any} message */
  #notified({ method, params }) {
    if (method === "notifications/cancelled") this.#cancel(JSON.stringify(params?.requestId));
    if (method === "notifications/initialized" && this.core.spec.rootsAtStart) {
      this.askOutside({ method: "roots/list" });
    }
  }

  /** @param {string} idText */
  #cancel(idText) {
    const call = this.#calls.get(idText);
    this.#listens.delete(idText);
    if (call === undefined) return;
    this.#calls.delete(idText);
    this.core.report({ kind: "cancelled", connection: this.label, tag: call.tag });
    call.cancel();
  }

  /** @param {any} message @param {Peer} peer */
  #request({ id, method, params = {} }, peer) {
    const { era = "legacy" } = this.core.spec;
    const meta = params._meta ?? {};
    const modern = meta[`${META}protocolVersion`] !== undefined;
    /** @param {object} body */
    const answer = (body) => {
      peer.send(JSON.stringify({ jsonrpc: "2.0", id, ...body }));
      peer.end();
    };
    /** @param {object} result */
    const result = (result) => answer({ result });
    /** @param {number} code @param {string} words @param {unknown} [data] */
    const fail = (code, words, data) => answer({ error: { code, message: words, data } });
    if (modern !== (era === "modern")) {
      return modern
        ? fail(-32601, "Method not found")
        : fail(-32022, "Unsupported protocol version", { supported: [MODERN] });
    }
    const cached = modern ? { resultType: "complete", ttlMs: 0, cacheScope: "private" } : {};
    const done = modern ? { resultType: "complete" } : {};
    switch (method) {
      case "initialize":
        this.declared = params;
        return result({
          protocolVersion: "2025-11-25",
          capabilities: CAPABILITIES,
          serverInfo: { name: this.core.spec.name, version: "1" },
        });
      case "server/discover":
        return result({ ...cached, supportedVersions: [MODERN], capabilities: CAPABILITIES });
      case "ping":
        return result({});
      case "tools/list": {
        const names = this.core.spec.tools ?? [...TOOLS.keys()];
        const tools = names.map((name) => ({ name, inputSchema: { type: "object" } }));
        return result({ ...cached, tools });
      }
      case "resources/list":
        return result({ ...cached, resources: URIS.map((uri) => ({ uri, name: uri })) });
      case "resources/templates/list":
        return result({ ...cached, resourceTemplates: [] });
      case "resources/read":
        return result({ ...cached, contents: [{ uri: params.uri, text: "note" }] });
      case "logging/setLevel":
        this.level = params.level;
        return result({});
      case "resources/subscribe":
        this.subscriptions.add(params.uri);
        return result({});
      case "resources/unsubscribe":
        this.subscriptions.delete(params.uri);
        return result({});
      case "subscriptions/listen":
        return this.#listen(id, params, peer);
      case "tools/call":
        return void this.#call(id, params, peer, modern, (body) => answer(body), done);
      default:
        return fail(-32601, "Method not found");
    }
  }

  /** @param {unknown} id @param {any} params @param {Peer} peer */
  #listen(id, { notifications: filter }, peer) {
    this.#listens.set(JSON.stringify(id), { filter, peer });
    peer.send(JSON.stringify({
      jsonrpc: "2.0",
      method: "notifications/subscriptions/acknowledged",
      params: { notifications: filter, _meta: { [`${META}subscriptionId`]: id } },
    }));
  }

  /**
   * @param {unknown} id @param {any} params @param {Peer} peer @param {boolean} modern
   * @param {(body: object) => void} answer @param {object} done
   */
  async #call(id, params, peer, modern, answer, done) {
    const args = params.arguments ?? {};
    const tag = String(args.tag);
    const meta = params._meta ?? {};
    const idText = JSON.stringify(id);
    const tool = TOOLS.get(params.name);
    if (tool === undefined) return answer({ error: { code: -32602, message: "Unknown tool" } });
    const { promise: cancelled, resolve: cancel } = deferred();
    this.#calls.set(idText, { cancel, tag });
    /** @param {string} method @param {object} params */
    const notify = (method, params) => {
      if (!replaying) peer.send(JSON.stringify({ jsonrpc: "2.0", method, params }));
    };
    /** @type {Answer[][]} answers of earlier rounds, which the tool is given at once */
    const earlier = modern ? answersOf(params) : [];
    let replaying = earlier.length > 0;
    let asked = 0;
    /** @type {Call} */
    const call = {
      args,
      tag,
      cancelled,
      declared: this.declared,
      notify,
      begin: (question) => this.#ask(question, (raw) => peer.send(raw)),
      ask: (...questions) => {
        if (!modern) {
          // In one write: what is asked in one breath must not be torn apart by a busy machine.
          /** @type {string[]} */
          const raws = [];
          const begun = questions.map((one) => this.#ask(one, (raw) => void raws.push(raw)).answer);
          peer.send(...raws);
          return Promise.all(begun);
        }
        const answers = earlier[asked++];
        if (answers === undefined) throw new Suspended(questions, earlier);
        if (asked === earlier.length) replaying = false;
        return Promise.resolve(answers);
      },
      progress: (n, total) => {
        if (meta.progressToken === undefined) return;
        const { progressToken } = meta;
        notify("notifications/progress", { progressToken, progress: n, total, message: tag });
      },
      log: (level, data) => {
        const least = modern ? meta[`${META}logLevel`] : this.level;
        if (!reaches(level, least)) return;
        notify("notifications/message", { level, logger: this.core.spec.name, data });
      },
    };
    /** @param {object} body */
    const close = (body) => {
      if (!this.#calls.delete(idText)) return;
      answer(body);
    };
    try {
      const value = await tool(call, this.core);
      const content = [{ type: "text", text: JSON.stringify(value) }];
      close({ result: { ...done, content } });
    } catch (error) {
      if (error instanceof Suspended) {
        const requests = error.questions.map((question, i) => [`q${i}`, question]);
        const inputRequests = Object.fromEntries(requests);
        const requestState = JSON.stringify({ answered: error.answered, asked: requests.length });
        close({ result: { resultType: "input_required", inputRequests, requestState } });
      } else if (error instanceof Fault) {
        close({ error: { code: error.code, message: error.message, data: error.data } });
      } else throw error;
    }
  }

  /** @param {Question} question @param {(raw: string) => void} send */
  #ask(question, send) {
    const id = this.#nextId++;
    /** @type {Promise<Answer>} */
    const answer = new Promise((resolve) => {
      this.#asked.set(id, ({ result, error }) => resolve({ result, error }));
    });
    send(JSON.stringify({ jsonrpc: "2.0", id, ...question }));
    return { id, answer };
  }

  /** Asks the client outside any call and reports the answer. @param {Question} question */
  askOutside(question) {
    void this.#ask(question, this.standing).answer.then((answer) => {
      this.core.report({ kind: "told", connection: this.label, question, answer });
    });
  }

  /** Says something outside any call. @param {string} level @param {unknown} data */
  log(level, data) {
    if (this.core.spec.era === "modern" || !reaches(level, this.level)) return;
    const params = { level, logger: this.core.spec.name, data };
    this.standing(JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params }));
  }

  /** @param {string} uri */
  touched(uri) {
    const method = "notifications/resources/updated";
    if (this.subscriptions.has(uri)) {
      this.standing(JSON.stringify({ jsonrpc: "2.0", method, params: { uri } }));
    }
    for (const [idText, { filter, peer }] of this.#listens) {
      if (!filter?.resourceSubscriptions?.includes(uri)) continue;
      const _meta = { [`${META}subscriptionId`]: JSON.parse(idText) };
      peer.send(JSON.stringify({ jsonrpc: "2.0", method, params: { uri, _meta } }));
    }
  }
}

const CAPABILITIES = { tools: {}, resources: { subscribe: true }, logging: {} };

/** @param {string} level @param {string | undefined} least */
function reaches(level, least) {
  return least !== undefined && LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}

/** The answers of all rounds so far, this retry's last. @param {any} params @returns {Answer[][]} */
function answersOf({ requestState, inputResponses = {} }) {
  if (requestState === undefined) return [];
  const { answered, asked } = JSON.parse(requestState);
  const latest = Array.from({ length: asked }, (_, i) => ({ result: inputResponses[`q${i}`] }));
  return [...answered, latest];
}

/** Promise.withResolvers() for the node that runs this. */
function deferred() {
  /** @type {() => void} */
  let resolve = () => {};
  /** @type {Promise<void>} */
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
