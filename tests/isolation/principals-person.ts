import assert from "node:assert/strict";
import {
  type Endpoint,
  profileEndpoint,
  serverEndpoint,
  withGating,
} from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import type { LastingSessions } from "../../src/gateway/clients/lasting.ts";
import { modernClient, serveModern } from "../../src/gateway/clients/modern.ts";
import type { Session } from "../../src/gateway/clients/session.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { replyText } from "../../src/registry/answers.ts";

type Era = "legacy" | "modern";
// deno-lint-ignore no-explicit-any
type Json = any;

/** Where somebody is. */
export interface Home {
  readonly gateway: Gateway;
  readonly lasting: LastingSessions;
  /** A text that nobody else has. */
  token(): string;
  /** A text has reached somebody, who has `said` something of it. @throws where it must not have */
  heard(person: Person, raw: string, said?: string): void;
  /** Nothing rests: what a leased connection waits for before its next call is over. */
  hurry(): void;
}

/** What somebody got that is nobody else's business, by the way to ask for it. */
export interface Secret {
  readonly kind: "session" | "task" | "stored" | "handle" | "state";
  readonly value: string;
  readonly endpoint: Endpoint;
  /** In which era it was got. */
  readonly era: Era;
  /** What else is needed to use it. */
  readonly more?: Json;
}

/** Gives a number below another one. */
export type Below = (below: number) => number;

const CLIENT = { capabilities: { elicitation: { form: {} } }, info: { name: "t", version: "1" } };
const ENVELOPE = { ...CLIENT, protocolVersion: "2026-07-28", logLevel: "debug" };
const META = {
  "io.modelcontextprotocol/protocolVersion": ENVELOPE.protocolVersion,
  "io.modelcontextprotocol/clientCapabilities": CLIENT.capabilities,
  "io.modelcontextprotocol/clientInfo": CLIENT.info,
  "io.modelcontextprotocol/logLevel": "debug",
  progressToken: 1,
};

/** Who has a profile, and uses it in both eras. */
export class Person {
  readonly principal: Principal;
  readonly pending = new Set<Promise<unknown>>();
  /** What went wrong where nobody waited. */
  readonly failures: unknown[] = [];
  /** What was tried how often. */
  readonly done = new Map<string, number>();
  readonly #sessions = new Map<string, Session>();
  readonly #exchanges = new Set<ActiveExchange>();
  readonly #secrets: Secret[] = [];
  /** Modern calls of a server that lends each a connection, by the name of the tool. */
  readonly #lent = new Set<string>();
  #ids = 0;

  constructor(
    private readonly house: Home,
    /** The profile, and how the names begin that only it has. */
    readonly word: "alpha" | "beta",
    private readonly name: string,
  ) {
    this.principal = { id: name, who: name, names: [] };
  }

  toString(): string {
    return this.name;
  }

  /** Goes away for good. */
  leave(): void {
    for (const exchange of this.#exchanges) exchange.cancel("gone");
    for (const session of this.#sessions.values()) session.close("gone");
    this.#sessions.clear();
  }

  /** Does something that anybody may; nobody waits for the answer. */
  act(era: Era, below: Below): void {
    const own = this.#endpoint(below);
    const call = (name: string, more: Json = {}, endpoint = own) =>
      this.#track(this.#call(era, endpoint, name, more));
    const ask = (method: string, params: Json) =>
      this.#track(this.#request(era, own, method, params));
    const gated = withGating(profileEndpoint(below(2) === 0 ? this.word : "both"), true);
    switch (below(17)) {
      case 0:
        for (const list of ["tools", "prompts", "resources", "resources/templates"]) {
          ask(`${list}/list`, {});
        }
        return;
      case 1:
        return call("cached");
      case 2:
        return call("big");
      case 3:
        return call(below(2) ? "chatter" : "plain");
      case 4:
        return era === "legacy"
          ? call("job", { task: { ttl: 60_000 } })
          : call("mjob", {}, profileEndpoint(this.word));
      case 5:
      case 6:
      case 14:
      case 15:
      case 16: {
        const name = below(3) === 0 ? "remember" : "ask";
        if (era === "legacy") return call(name, {}, profileEndpoint(this.word));
        // There are few connections to lend, and one that waits for an answer holds its own.
        if (this.#lent.has(name) || this.#secrets.some(({ kind }) => kind === "state")) return;
        this.#lent.add(name);
        this.house.hurry();
        const answer = this.#call(era, profileEndpoint(this.word), name, {});
        return this.#track(answer.finally(() => this.#lent.delete(name)));
      }
      case 7:
        ask("resources/read", { uri: below(2) ? "res://s/1" : `res://s/${below(3)}` });
        return this.#track(
          this.#request(era, profileEndpoint(this.word), "resources/read", { uri: "mod://1" }),
        );
      case 8:
        if (era === "modern") call("mask", {}, profileEndpoint(this.word));
        ask("prompts/get", { name: "greet" });
        return ask("completion/complete", {
          ref: { type: "ref/prompt", name: "greet" },
          argument: { name: "a", value: "" },
        });
      case 9:
        if (era === "legacy") {
          ask("resources/subscribe", { uri: "res://s/1" });
          return ask("tasks/list", {});
        }
        return ask("server/discover", {});
      case 10:
        return call(`${this.word}_tool`, {}, profileEndpoint(this.word));
      case 11:
        return call("provision_tools", { arguments: { tool_ids: ["plain", "cached"] } }, gated);
      case 12:
        call("list_mcp_servers", { arguments: {} }, gated);
        return call("discover_tools", { arguments: { query: "tool plain cached job" } }, gated);
      case 13:
        for (const exchange of this.#exchanges) if (below(4) === 0) exchange.cancel("enough");
        return;
    }
  }

  /** Uses something of one's own, perhaps in the other era: it must work. */
  async useOwn(era: Era, below: Below, secret = this.pick(below)): Promise<void> {
    if (secret === undefined) return;
    const { kind, value, endpoint } = secret;
    // A state is good for one round.
    if (kind === "state") this.#secrets.splice(this.#secrets.indexOf(secret), 1);
    // What was forgotten is taken up by what the id says.
    if (kind === "session" && below(2) === 0) this.#sessions.get(endpoint.key)?.close("idle");
    const raw = await this.#use(secret, era, value);
    this.#count(`own ${kind}`);
    assert.doesNotMatch(raw ?? '"error":{', REFUSED, `${this} cannot use an own ${kind}`);
  }

  /** One of its secrets, of any kind as often. */
  pick(below: Below): Secret | undefined {
    const kinds = [...new Set(this.#secrets.map(({ kind }) => kind))];
    const kind = kinds[below(Math.max(1, kinds.length))];
    const fitting = this.#secrets.filter((secret) => secret.kind === kind);
    return fitting[below(Math.max(1, fitting.length))];
  }

  oneOfEach(): readonly Secret[] {
    return [...new Map(this.#secrets.map((secret) => [secret.kind, secret])).values()];
  }

  /** Gives all calls that wait for an answer one. */
  async resume(below: Below): Promise<void> {
    for (const state of this.#secrets.filter(({ kind }) => kind === "state")) {
      await this.useOwn("modern", below, state);
    }
  }

  /** Tries to get at what is the other's: the answer is the one that an invented id gets. */
  async guess(secret: Secret | undefined, era: Era): Promise<void> {
    if (secret === undefined) return;
    // At an endpoint of one's own: to the other's the front lets nobody else.
    const { profile } = secret.endpoint;
    const own = profileEndpoint(this.word);
    const endpoint = profile === undefined || profile === "both"
      ? secret.endpoint
      : secret.kind === "handle"
      ? withGating(own, true)
      : own;
    const mine = { ...secret, endpoint };
    const middle = Math.floor(secret.value.length / 2);
    const changed = secret.value[middle] === "0" ? "1" : "0";
    const invented = secret.value.slice(0, middle) + changed + secret.value.slice(middle + 1);
    const given = await this.#use(mine, era, secret.value);
    const none = await this.#use(mine, era, invented);
    this.#count(`guess ${secret.kind}`);
    const same = (raw: string | undefined, id: string) =>
      raw?.replaceAll(id, "ID").replace(/"id":\d+/, "");
    assert.equal(same(given, secret.value), same(none, invented), `${this}, ${secret.kind}`);
    assert.match(given ?? '"error":{', REFUSED, `${this}, ${secret.kind}`);
  }

  /** Asks for what only the other's profile has. */
  async guessName({ word }: Person, era: Era, below: Below): Promise<void> {
    const endpoint = withGating(profileEndpoint(this.word), below(2) === 0);
    const gated = withGating(profileEndpoint(this.word), true);
    const tool = `${word}_tool`;
    const wrong = `${word}_tol`;
    const ask = (method: string, params: Json, said: string) => () =>
      this.#request(era, endpoint, method, params, said);
    const call = (name: string, said: string) => ask("tools/call", { name, arguments: {} }, said);
    const callGated = (name: string, args: Json, said: string) => () =>
      this.#request(era, gated, "tools/call", { name, arguments: args }, said);
    const [page, made, server] = [`${word}://1`, `${word}://t/9`, `only${word}`];
    const argument = { name: "id", value: "" };
    // What the one profile leaves out of a server that both have.
    const [hidden, read] = ["destroy", "res://s/private"];
    const ways = [
      call(tool, tool),
      call(wrong, wrong),
      ask("prompts/get", { name: `${word}_prompt` }, `${word}_prompt`),
      ask("resources/read", { uri: page }, page),
      ask("resources/read", { uri: made }, made),
      ask("completion/complete", {
        ref: { type: "ref/resource", uri: `${word}://t/{id}` },
        argument,
      }, `${word}://t/{id}`),
      ask("completion/complete", {
        ref: { type: "ref/prompt", name: `${word}_prompt` },
        argument,
      }, `${word}_prompt`),
      callGated("execute_tool", { tool_id: tool }, tool),
      callGated("execute_tool", { tool_id: `${server}:${tool}` }, `${server}:${tool}`),
      callGated("provision_tools", { tool_ids: [tool] }, tool),
      callGated("provision_tools", { tool_ids: [wrong] }, wrong),
      callGated("list_mcp_servers", { server }, server),
      callGated("discover_tools", { query: "CANARY tool", server }, server),
      ...(era === "legacy" ? [ask("resources/subscribe", { uri: page }, page)] : []),
      ...(this.word === "alpha"
        ? [call(hidden, hidden), callGated("execute_tool", { tool_id: hidden }, hidden)]
        : [ask("resources/read", { uri: read }, read)]),
    ];
    const raw = await ways[below(ways.length)]!();
    this.#count("guess name");
    assert.match(raw ?? '"error":{', REFUSED, `${this}, what only ${word} has`);
  }

  /** Asks for what a secret is the key to; `undefined` where there is no answer. */
  #use(
    { kind, endpoint, era: got, more }: Secret,
    era: Era,
    value: string,
  ): Promise<string | undefined> {
    switch (kind) {
      case "session":
        return this.#takeUp(value, endpoint);
      case "task":
        return this.#request(got, endpoint, "tasks/get", { taskId: value }, value);
      case "stored":
        return this.#request(era, endpoint, "resources/read", { uri: value }, value);
      case "handle": {
        const args = { tool_id: "plain", handle: value };
        return this.#call("modern", endpoint, "execute_tool", { arguments: args }, value);
      }
      case "state": {
        this.house.hurry();
        const [key] = Object.keys(more.inputRequests);
        const inputResponses = { [key!]: { action: "accept", content: { word: this.#own() } } };
        const retry = { inputResponses, requestState: value };
        return this.#call("modern", endpoint, more.name, retry, value);
      }
    }
  }

  async #takeUp(id: string, endpoint: Endpoint): Promise<string | undefined> {
    const { lasting } = this.house;
    const session = await lasting.takeUp(id, endpoint, this.principal);
    if (session === undefined) {
      // Nor can it be ended.
      assert.equal(await lasting.end(id, endpoint, this.principal), false);
      return undefined;
    }
    this.#attach(session, endpoint);
    return "{}";
  }

  /** A word that only this one knows. */
  #own(): string {
    const word = this.house.token();
    this.house.heard(this, word);
    return word;
  }

  #endpoint(below: Below): Endpoint {
    const choice = below(5);
    if (choice === 0) return serverEndpoint("s");
    const own = profileEndpoint(choice === 1 ? "both" : this.word);
    return choice === 2 ? withGating(own, false) : own;
  }

  #call(era: Era, endpoint: Endpoint, name: string, more: Json, said?: string) {
    return this.#request(era, endpoint, "tools/call", { name, arguments: {}, ...more }, said);
  }

  /** Sends a request, hears whatever comes, and remembers what it got. */
  async #request(
    era: Era,
    endpoint: Endpoint,
    method: string,
    params: Json,
    said?: string,
  ): Promise<string | undefined> {
    const answering = era === "legacy"
      ? await this.#legacy(endpoint, method, params, said)
      : this.#modern(endpoint, method, params, said);
    const promise = Promise.resolve(answering).then((reply) => {
      if (reply === undefined) return undefined;
      const raw = replyText(reply);
      this.house.heard(this, raw, said);
      this.#learn(era, endpoint, params, raw);
      return raw;
    });
    this.pending.add(promise);
    const drop = () => void this.pending.delete(promise);
    promise.then(drop, drop);
    return await promise;
  }

  async #legacy(endpoint: Endpoint, method: string, params: Json, said?: string) {
    const session = await this.#session(endpoint);
    const request = { ...params, _meta: { progressToken: 1 } };
    return session.receive(this.#message(method, request), this.#outlet(session, said));
  }

  #modern(endpoint: Endpoint, method: string, params: Json, said?: string) {
    const client = modernClient(ENVELOPE, undefined, this.principal);
    const message = this.#message(method, { ...params, _meta: META }) as RequestMessage;
    const exchange = new ActiveExchange(client, message, {
      send: (raw) => this.#hear(raw, said),
    });
    this.#exchanges.add(exchange);
    const answering = serveModern(exchange, endpoint, this.house.gateway);
    const drop = () => void this.#exchanges.delete(exchange);
    if (answering instanceof Promise) answering.then(drop, drop);
    return answering;
  }

  #message(method: string, params: Json) {
    return parseMessage(JSON.stringify({ jsonrpc: "2.0", id: ++this.#ids, method, params }));
  }

  #hear(raw: string, said?: string): void {
    try {
      this.house.heard(this, raw, said);
    } catch (error) {
      this.failures.push(error);
    }
  }

  #outlet(session: Session, said?: string) {
    return {
      send: (raw: string) => {
        this.#hear(raw, said);
        const { id, method } = JSON.parse(raw);
        if (method !== "elicitation/create") return;
        const result = { action: "accept", content: { word: this.#own() } };
        const answer = JSON.stringify({ jsonrpc: "2.0", id, result });
        session.receive(parseMessage(answer), { send: () => {} });
      },
    };
  }

  async #session(endpoint: Endpoint): Promise<Session> {
    const known = this.#sessions.get(endpoint.key);
    if (known !== undefined && !known.closed.aborted) return known;
    const { gateway, lasting } = this.house;
    const session = gateway.openSession("http", endpoint, undefined, this.principal);
    this.#attach(session, endpoint);
    const { capabilities, info: clientInfo } = CLIENT;
    const params = { protocolVersion: "2025-11-25", capabilities, clientInfo };
    const told = await session.receive(this.#message("initialize", params), { send: () => {} });
    this.#hear(replyText(told!));
    session.receive(
      parseMessage('{"jsonrpc":"2.0","method":"notifications/initialized"}'),
      { send: () => {} },
    );
    lasting.name(session);
    this.#secrets.push({ kind: "session", value: session.id, endpoint, era: "legacy" });
    return session;
  }

  #attach(session: Session, endpoint: Endpoint): void {
    const before = this.#sessions.get(endpoint.key);
    if (before !== session) before?.close("another goes on");
    this.#sessions.set(endpoint.key, session);
    session.attach(this.#outlet(session), () => {});
  }

  /** Keeps what an answer gives to come back with. */
  #learn(era: Era, endpoint: Endpoint, params: Json, raw: string): void {
    const { result } = JSON.parse(raw);
    const add = (kind: Secret["kind"], value: unknown, more?: Json) => {
      if (typeof value === "string") this.#secrets.push({ kind, value, endpoint, era, more });
    };
    const isNew = result?.task ?? (result?.resultType === "task" ? result : undefined);
    add("task", isNew?.taskId);
    add("stored", /mcproxy:\/\/results\/[\w-]+/.exec(JSON.stringify(result ?? {}))?.[0]);
    add("handle", result?.structuredContent?.handle);
    if (result?.resultType === "input_required") {
      add("state", result.requestState, { ...result, name: params.name });
    }
  }

  #track(promise: Promise<unknown>): void {
    promise.catch((error) => this.failures.push(error));
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }
}

/** An error, of the protocol or of a tool. */
const REFUSED = /"error":\{|"isError":true/;
