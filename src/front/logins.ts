/** What is told of the logins to servers, and who brings one or takes it away. */

import { keyMark, oauthOf, type ServerConfig } from "../config/types.ts";
import { parsedObject } from "../lib/json.ts";
import { FileError } from "../lib/lock-file.ts";
import { didYouMean, suggest } from "../lib/suggest.ts";
import { type Guest, LOCAL, type Visitor } from "../protocol/exchange.ts";
import { PUBLIC_CLIENT } from "../protocol/issuer.ts";
import { grantIn, type GrantKey } from "../upstream/oauth/grants.ts";
import { ForbiddenUrlError } from "../upstream/oauth/guard.ts";
import { addressOf } from "./auth/challenge.ts";
import { type Entrance, renewing } from "./entrance.ts";
import { CLIENT_DOCUMENT, type FrontContext, json, LAPSED, methodNotAllowed } from "./reply.ts";
import { NO_STORE, readBody, Refusal } from "./reply.ts";

/** A server that people log in to. */
interface Place extends NonNullable<ReturnType<typeof oauthOf>> {
  /** Of the login that counts for whoever asks: his own, or the gateway's for everybody. */
  readonly key: GrantKey;
}

/** What becomes of a grant by which method; others only ask whether one could be brought. */
const CHANGES = { PUT: "received", DELETE: "removed", GET: undefined, HEAD: undefined } as const;
/** Bytes of a grant. */
const MOST_GRANT = 64 * 1024;

/** What answers at `/api/logins` and `/api/grants`; loaded when somebody asks there. */
export class LoginAnswers {
  constructor(
    private readonly context: FrontContext,
    /** Who stands before all paths; undefined where nobody does. */
    private readonly entrance: () => Entrance | undefined,
  ) {}

  /** @throws {Refusal} 403 and 503 for who must not ask; 408, 413, 415 for a body */
  async to(
    request: Request,
    path: string,
    name: string | undefined,
    visitor: Visitor,
  ): Promise<Response> {
    const isChange = path.startsWith("/api/grants/");
    const allowed = isChange ? "GET, HEAD, PUT, DELETE" : "GET, HEAD";
    if (!allowed.split(", ").includes(request.method)) return methodNotAllowed(allowed);
    const { servers } = this.context.gateway.config;
    const caller = visitor.admission?.principal.id ?? "";
    const server = servers.get(name ?? "");
    const place = server && placeOf(server, caller);
    this.#require(visitor, path, isChange, place?.login.per === "user" ? name : undefined);
    if (name === undefined) {
      const places = [...servers.values()].flatMap((one) => placeOf(one, caller) ?? []);
      const logins = await Promise.all(places.map((one) => this.#status(one)));
      return json({ logins }, 200, NO_STORE);
    }
    if (server === undefined) {
      const near = didYouMean(suggest(name, servers.keys()));
      return failure(404, `No such server: ${name}${near}`);
    }
    if (place === undefined) return failure(404, `Nobody can log in to the server "${name}"`);
    const failed = isChange ? await this.#change(request, visitor as Guest, place) : undefined;
    return failed ?? json(await this.#status(place), 200, NO_STORE);
  }

  /** What issuers may read about clients of this gateway, which have no secret; undefined for none. */
  document(): Response | undefined {
    const { servers, settings } = this.context.gateway.config;
    const id = this.#documentUrl;
    if (id === undefined) return undefined;
    const pinned = [...servers.values()].flatMap((one) => placeOf(one, "")?.login.redirect ?? []);
    const document = {
      ...PUBLIC_CLIENT,
      client_id: id,
      client_uri: settings.publicUrl,
      // Whatever the port (RFC 8252, section 7.3).
      redirect_uris: [...new Set(["http://127.0.0.1/callback", ...pinned])],
    };
    return json(document, 200, { "cache-control": "public, max-age=300" });
  }

  /** Where that is: its address is the client's name, which nobody may change on the way. */
  get #documentUrl(): string | undefined {
    const address = addressOf(this.context.gateway.config.settings);
    return address.startsWith("https:") ? address + CLIENT_DOCUMENT : undefined;
  }

  /** `own` is a server to which each has a login of his own. */
  #require(visitor: Visitor, path: string, isChange: boolean, own: string | undefined): void {
    const { admission } = visitor;
    const hasAuth = this.context.gateway.config.settings.auth !== undefined;
    if (!hasAuth && (!isChange || admission?.principal === LOCAL)) return;
    const inForce = this.entrance();
    // Another configuration has come while this was loaded.
    if (admission === undefined || inForce === undefined) throw renewing();
    inForce.require(visitor as Guest, path, isChange, own);
  }

  /** Why it could not be done; undefined where it was. */
  async #change(
    request: Request,
    { admission, address }: Guest,
    { key, target }: Place,
  ): Promise<Response | undefined> {
    const { gateway, pending } = this.context;
    const logins = await gateway.logins();
    const what = CHANGES[request.method as keyof typeof CHANGES];
    // Nobody waits for an issuer: who asks would take an answer that comes late for a failure.
    try {
      if (what === "received") {
        const isOver = () => !admission.holds(Date.now());
        const text = await new Promise<string>((take, fail) =>
          readBody(request, { bodyLimit: MOST_GRANT, pending }, { isOver, take, fail })
        );
        if (isOver()) throw new Refusal(403, LAPSED);
        const { auth } = gateway.config.settings;
        const mark = keyMark(auth, key.principal);
        const grant = grantIn({ ...parsedObject(text), ...key, keyMark: mark });
        if (typeof grant === "string") throw new ForbiddenUrlError(grant);
        await logins.receive(grant, target);
      } else if (what === undefined) {
        return void await logins.file.check();
      } else if (!await logins.forget(key, target, 0)) {
        return failure(404, `Nobody is logged in to "${key.server}"`);
      }
    } catch (error) {
      if (error instanceof FileError) return failure(500, error.message);
      if (!(error instanceof ForbiddenUrlError)) throw error;
      return failure(400, `Cannot take the grant: ${error.message}`);
    }
    const { who } = admission.principal;
    gateway.events.emit({ kind: "grant", ...key, what, who, address });
    return undefined;
  }

  async #status({ key: { server: name, principal }, target, login }: Place): Promise<object> {
    const { gateway } = this.context;
    const logins = await gateway.logins();
    const { state, dead, expiresAt, scope } = await logins.status(name, target, principal);
    const { per, clientId, redirect, resource, issuer } = login;
    const ownDocument = clientId === undefined ? this.#documentUrl : undefined;
    return {
      ...{ name, url: shownUrl(target.url, gateway.redact), state, reason: dead?.reason },
      since: dead && new Date(dead.at),
      expiresAt: expiresAt && new Date(expiresAt),
      scope: login.scope ?? scope,
      ...{ per, clientId, redirect, resource, issuer },
      clientUrl: login.clientUrl ?? ownDocument,
      principal: principal || undefined,
      // Of the configuration, for the next login.
      asks: login.scope,
      hasSecret: login.clientSecret !== undefined,
    };
  }
}

/** Where people log in to a server; undefined where they cannot, or something else says who asks. */
function placeOf(server: ServerConfig, caller: string): Place | undefined {
  const found = oauthOf(server);
  // The address of one that cannot be started may be none.
  if (server.problem !== undefined || found === undefined) return undefined;
  const { headers } = found.target;
  if (Object.keys(headers).some((one) => /^authorization$/i.test(one))) return undefined;
  const principal = found.login.per === "user" ? caller : "";
  return { key: { server: server.name, principal }, ...found };
}

/** Without who asks, and without a query that has a secret in it. */
function shownUrl(text: string, redact: (text: string) => string): string {
  const url = new URL(text);
  url.username = url.password = url.hash = "";
  if (redact(url.href) !== url.href) url.search = "";
  return redact(url.href);
}

function failure(status: number, message: string): Response {
  return json({ error: status === 404 ? "not_found" : "refused", message }, status, NO_STORE);
}
