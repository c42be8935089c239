// The protocol side of a fake upstream, without transport: texts in, texts out. The stdio server
// and the HTTP server are shells around it.

import { itemKeys, itemText } from "./items.mjs";
import { BEHAVIOURS } from "./tools.mjs";

/**
 * Where answers to one request go.
 * @typedef {object} Peer
 * @property {(...raws: string[]) => void} send whole messages, in one write
 * @property {(raw: string) => void} sendPart text without its end
 * @property {() => void} end the request has been answered
 *
 * @typedef {object} Effects
 * @property {(code: number) => void} exit
 * @property {(text: string) => void} stderr
 * @property {() => number} grandchild
 *
 * @typedef {import("./spec.ts").FakeSpec} FakeSpec
 * @typedef {import("./items.mjs").Kind} Kind
 */

const MODERN = "2026-07-28";
const META = "io.modelcontextprotocol/";
const LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/** Each list: method, member of the result, notification. */
const LISTS = /** @type {const} */ ([
  ["tools/list", "tools", "tools", "tools"],
  ["prompts/list", "prompts", "prompts", "prompts"],
  ["resources/list", "resources", "resources", "resources"],
  ["resources/templates/list", "templates", "resourceTemplates", "resources"],
]);

/** A fake MCP server that is told what to be by a {@link FakeSpec}. */
export class FakeCore {
  /** @type {Map<string, number>} how often each method arrived */
  counts = new Map();
  /** @type {any[]} arguments of each cancelled call, null where the id was not in flight */
  cancellations = [];
  /** @type {string | undefined} the id, as text, of the last answered request */
  answeredId;
  /** @type {string[]} every message as it arrived */
  received = [];
  /** @type {Map<string, { args: unknown, cancel: () => void }>} */
  #inFlight = new Map();
  /** @type {Map<string, Peer>} open `subscriptions/listen` by id text */
  #listens = new Map();
  /** @type {Map<string, any>} filters of the open listens */
  #filters = new Map();
  /** @type {Map<string, () => void>} */
  #parked = new Map();
  /** @type {Map<number, (raw: string) => void>} */
  #asked = new Map();
  #nextAsk = 1;
  /** @type {Set<() => void>} */
  #watchers = new Set();
  /** @type {(raw: string) => void} */
  #broadcast;

  /**
   * @param {FakeSpec} spec
   * @param {Effects} effects
   * @param {(raw: string) => void} broadcast reaches legacy clients outside any request
   */
  constructor(spec, effects, broadcast) {
    this.spec = spec;
    this.effects = effects;
    this.#broadcast = broadcast;
    this.name = spec.name ?? "fake";
    /** @type {Record<Kind, string[]>} */
    this.lists = {
      tools: itemKeys("tools", this.name, spec.tools ?? [...BEHAVIOURS.keys()]),
      prompts: itemKeys("prompts", this.name, spec.prompts ?? 0),
      resources: itemKeys("resources", this.name, spec.resources ?? 0),
      templates: itemKeys("templates", this.name, spec.templates ?? 0),
    };
  }

  /**
   * Takes one message.
   * @param {string} raw
   * @param {Peer} peer
   */
  handle(raw, peer) {
    this.received.push(raw);
    const message = JSON.parse(raw);
    if (message.method === undefined) {
      this.#asked.get(message.id)?.(raw);
      this.#asked.delete(message.id);
      return peer.end();
    }
    this.counts.set(message.method, (this.counts.get(message.method) ?? 0) + 1);
    if (message.id === undefined) {
      if (message.method === "notifications/cancelled") {
        this.cancel(JSON.stringify(message.params?.requestId));
      }
      return peer.end();
    }
    this.#request(message, raw, peer);
    this.#changed();
  }

  /** @param {string} idText */
  cancel(idText) {
    const call = this.#inFlight.get(idText);
    this.cancellations.push(call === undefined ? null : call.args);
    call?.cancel();
    if (this.#listens.delete(idText)) this.#filters.delete(idText);
    this.#changed();
  }

  /** @param {any} message @param {string} raw @param {Peer} peer */
  #request(message, raw, peer) {
    const { faults = {}, era = "legacy" } = this.spec;
    const idText = JSON.stringify(message.id);
    const meta = message.params?._meta ?? {};
    const modern = meta[`${META}protocolVersion`] !== undefined;
    /** @type {(extra: string) => (result: string) => string} */
    const stamp = (extra) => (result) =>
      modern ? result.replace("{", `{"resultType":"complete",${extra}`) : result;
    /** @param {string} text */
    const answer = (text) => {
      this.answeredId = idText;
      peer.send(`{"jsonrpc":"2.0","id":${idText},${text}}`);
      peer.end();
    };
    /** @param {number} code @param {string} words @param {unknown} [data] */
    const fail = (code, words, data) =>
      answer(`"error":${JSON.stringify({ code, message: words, data })}`);

    if (faults.failMethods?.includes(message.method)) return fail(-32603, "It is broken");
    if (modern && era === "legacy" && message.method === "server/discover") {
      return fail(-32601, "Method not found");
    }
    if (!modern && era === "modern") {
      return message.method === "initialize"
        ? fail(-32022, "Unsupported protocol version", { supported: [MODERN] })
        : fail(-32602, "The envelope is missing");
    }
    const list = LISTS.find(([method]) => method === message.method);
    if (list !== undefined) {
      return answer(
        `"result":${
          stamp(`"ttlMs":60000,"cacheScope":"${this.spec.cacheScope ?? "public"}",`)(
            this.#page(list, message.params),
          )
        }`,
      );
    }
    switch (message.method) {
      case "initialize":
        return this.#initialize(message, answer);
      case "server/discover":
        return modern && era !== "legacy"
          ? answer(`"result":${this.#discover()}`)
          : fail(-32601, "Method not found");
      case "ping":
        return modern ? fail(-32601, "Method not found") : answer('"result":{}');
      case "tools/call":
        return this.#call(message, raw, peer, stamp(""), fail);
      case "prompts/get":
        if (!this.lists.prompts.includes(message.params?.name)) {
          return fail(-32602, "Unknown prompt");
        }
        return answer(`"result":${stamp("")(promptText(message.params))}`);
      case "resources/read":
        return this.#knows(message.params?.uri)
          ? answer(
            `"result":${
              stamp('"ttlMs":0,"cacheScope":"private",')(resourceText(message.params.uri))
            }`,
          )
          : fail(modern ? -32602 : -32002, "Resource not found");
      case "subscriptions/listen":
        if (!modern) return fail(-32601, "Method not found");
        this.#listens.set(idText, peer);
        this.#filters.set(idText, message.params.notifications ?? {});
        return peer.send(
          `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":` +
            `${
              JSON.stringify(message.params.notifications ?? {})
            },"_meta":{"${META}subscriptionId":${idText}}}}`,
        );
      default:
        return fail(-32601, "Method not found");
    }
  }

  /** @param {any} message @param {(text: string) => void} answer */
  #initialize(message, answer) {
    const { faults = {}, version = "2025-11-25", instructions } = this.spec;
    if (faults.crashOnInitialize) return this.effects.exit(5);
    if (faults.refuseInitialize !== undefined) return answer(`"error":${faults.refuseInitialize}`);
    const wanted = message.params?.protocolVersion;
    const agreed = LEGACY.includes(wanted) && wanted <= version ? wanted : version;
    answer(
      `"result":{"protocolVersion":"${agreed}","capabilities":${this.#capabilities()},` +
        `"serverInfo":{"name":${JSON.stringify(this.name)},"version":"1.0.0","x-vendor":1.0}` +
        `${instructions === undefined ? "" : `,"instructions":${JSON.stringify(instructions)}`}}`,
    );
  }

  #discover() {
    const { instructions, era } = this.spec;
    const versions = era === "dual" ? [MODERN, ...LEGACY] : [MODERN];
    return `{"resultType":"complete","supportedVersions":${JSON.stringify(versions)},` +
      `"capabilities":${this.#capabilities()},"ttlMs":60000,"cacheScope":"public",` +
      `${instructions === undefined ? "" : `"instructions":${JSON.stringify(instructions)},`}` +
      `"_meta":{"${META}serverInfo":{"name":${JSON.stringify(this.name)},"version":"1.0.0"}}}`;
  }

  #capabilities() {
    const { prompts, resources, templates } = this.lists;
    return '{"tools":{"listChanged":true}' +
      (prompts.length > 0 ? ',"prompts":{"listChanged":true}' : "") +
      (resources.length + templates.length > 0 ? ',"resources":{"listChanged":true}' : "") +
      ',"experimental":{"vendor.example/x":{"n":1.0}}}';
  }

  /** @param {readonly [string, Kind, string, string]} list @param {any} params */
  #page([, kind, field], params) {
    const { pageSize = Infinity, faults = {} } = this.spec;
    const cursor = params?.cursor;
    const at = cursor === undefined ? 0 : cursor === "" ? pageSize : Number(cursor);
    const end = at + pageSize;
    const texts = this.lists[kind].slice(at, end).map((key) =>
      itemText(kind, key, { ...faults, readOnly: this.spec.readOnly?.includes(key) })
    );
    let next = "";
    if (faults.cursorLoop) next = ',"nextCursor":"0"';
    else if (end < this.lists[kind].length) {
      next = `,"nextCursor":${JSON.stringify(faults.emptyCursor && at === 0 ? "" : String(end))}`;
    }
    return `{"${field}":[${texts.join(", ")}]${next}}`;
  }

  /** @param {unknown} uri */
  #knows(uri) {
    if (typeof uri !== "string") return false;
    return this.lists.resources.includes(uri) ||
      this.lists.templates.some((template) => uri.startsWith(template.replace("{id}", "")));
  }

  /**
   * @param {any} message
   * @param {string} raw
   * @param {Peer} peer
   * @param {(result: string) => string} stamp
   * @param {(code: number, words: string) => void} fail
   */
  #call(message, raw, peer, stamp, fail) {
    const { name, arguments: args = {}, _meta = {} } = message.params ?? {};
    if (!this.lists.tools.includes(name)) return fail(-32602, `Unknown tool: ${name}`);
    const idText = JSON.stringify(message.id);
    let cancel = () => {};
    /** @type {Promise<void>} */
    const cancelled = new Promise((resolve) => {
      cancel = () => {
        call.isCancelled = true;
        resolve();
      };
    });
    this.#inFlight.set(idText, { args, cancel });
    /** @param {string} text */
    const close = (text) => {
      this.#inFlight.delete(idText);
      this.answeredId = idText;
      peer.send(text);
      peer.end();
    };
    /** @type {import("./tools.mjs").Call} */
    const call = {
      idText,
      raw,
      args,
      cancelled,
      isCancelled: false,
      tokenText: _meta.progressToken === undefined
        ? undefined
        : JSON.stringify(_meta.progressToken),
      resultMessage: (result) => `{"jsonrpc":"2.0","id":${idText},"result":${stamp(result)}}`,
      result: (result) => close(call.resultMessage(result)),
      error: (error) => close(`{"jsonrpc":"2.0","id":${idText},"error":${error}}`),
      send: (...raws) => peer.send(...raws),
      sendPart: (part) => peer.sendPart(part),
    };
    const behave = BEHAVIOURS.get(name) ?? BEHAVIOURS.get("echo");
    void behave?.(call, this);
  }

  /**
   * Changes a list and says so.
   * @param {Kind} kind @param {string | undefined} add @param {string | undefined} remove
   */
  change(kind, add, remove) {
    if (remove !== undefined) this.lists[kind] = this.lists[kind].filter((key) => key !== remove);
    if (add !== undefined) this.lists[kind].push(add);
    const topic = LISTS.find(([, name]) => name === kind)?.[3];
    const method = `notifications/${topic}/list_changed`;
    this.#broadcast(`{"jsonrpc":"2.0","method":"${method}"}`);
    for (const [idText, peer] of this.#listens) {
      if (this.#filters.get(idText)?.[`${topic}ListChanged`] !== true) continue;
      peer.send(
        `{"jsonrpc":"2.0","method":"${method}","params":{"_meta":{"${META}subscriptionId":${idText}}}}`,
      );
    }
  }

  /**
   * Sends a request to the client on the stream of a call.
   * @param {import("./tools.mjs").Call} call @param {string} method @param {unknown} params
   * @returns {Promise<string>} the client's answer as it arrived
   */
  ask(call, method, params) {
    const id = this.#nextAsk++;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      call.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** @param {string} key @returns {Promise<void>} */
  park(key) {
    return new Promise((resolve) => {
      this.#parked.set(key, resolve);
      this.#changed();
    });
  }

  /** @param {string} key */
  parked(key) {
    return this.#until(() => this.#parked.has(key));
  }

  /** @param {string} key */
  async release(key) {
    await this.parked(key);
    this.#parked.get(key)?.();
    this.#parked.delete(key);
  }

  /**
   * Settles when a call with this argument `key` was cancelled.
   * @param {string} key
   */
  cancelled(key) {
    return this.#until(() => this.cancellations.some((args) => args?.key === key));
  }

  /** @param {() => boolean} condition @returns {Promise<void>} */
  #until(condition) {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  #changed() {
    for (const look of [...this.#watchers]) look();
  }
}

/** @param {any} params @returns {string} the result of `prompts/get` */
export function promptText(params) {
  return `{"description":${
    JSON.stringify(params.name)
  }, "messages":[{"role":"user","content":{"type":"text",` +
    `"text":${JSON.stringify(JSON.stringify(params.arguments ?? {}))},"x":1.0}}],"x-vendor":1e400}`;
}

/** @param {string} uri @returns {string} the result of `resources/read` */
export function resourceText(uri) {
  const text = JSON.stringify(uri);
  return `{"contents":[{"uri":${text}, "text":"content of ${uri}","x":12345678901234567890}],"x-vendor":1.0}`;
}
