/**
 * The part of a login that the SDK's OAuth client does: who gives the tokens, as whom this client is
 * known there, and the address a person opens. The code is then exchanged as all tokens are.
 */

import * as sdk from "@modelcontextprotocol/client";
import { type CliErrorOptions, failed } from "../../app/io.ts";
import type { OAuthConfig } from "../../config/types.ts";
import { keepSecret } from "../../lib/secrets.ts";
import { isSecure, messageOf, printable, snippet } from "../../lib/text.ts";
import { VERSION } from "../../lib/version.ts";
import { type FetchDocument, PUBLIC_CLIENT, resourceOf } from "../../protocol/issuer.ts";
import type { Grant } from "../../upstream/oauth/grants.ts";
import { guardedFetch } from "../../upstream/oauth/guard.ts";
import { requestToken } from "../../upstream/oauth/token.ts";
import { POST_HEADERS } from "../../upstream/transport/http-client.ts";
import { Callback } from "./callback.ts";

/** What is known of a server before somebody logs in to it. */
export type LoginSettings =
  & { readonly url: string; /** Whose it is, of each. */ readonly principal?: string | undefined }
  & Omit<OAuthConfig, "per">;

/** As whom an authorization server knows this client, and where it is led back to. */
export type Registration = sdk.StoredOAuthClientInformation & { readonly redirect: string };

/** Who asks for a login. */
export interface LoginDesk {
  /** The server, as messages name it. */
  readonly name: string;
  readonly settings: LoginSettings;
  /** Of the last login, if it may be used again. */
  readonly known: Registration | undefined;
  /** Keeps one for the next login; undefined where the last one may be wrong. */
  register(registration: Registration | undefined): Promise<void>;
  /** Shows a person the address to open, and takes what comes back. */
  ask(address: string, callback: Callback): Promise<URLSearchParams | undefined>;
}

/** What a login brings, whosever it is. */
export type Granted = Omit<Grant, "server" | "principal">;

/** How long a server may take that is only asked, in ms. */
const TIMEOUT = 30_000;

/** Logs somebody in. @throws {CliError} */
export async function authorized(desk: LoginDesk): Promise<Granted> {
  const { name, known, settings: { url, redirect, issuer } } = desk;
  const callback = await Callback.listen(redirect, known?.redirect);
  const fetch = guardedFetch(issuer === undefined ? [url] : [url, issuer]);
  try {
    const authorization = new Authorization(desk, callback);
    const address = await authorization.begin(fetch);
    const answer = await desk.ask(address.href, callback);
    if (answer === undefined) throw new Error("nobody answered in five minutes");
    return await authorization.end(answer, fetch);
  } catch (error) {
    // It may be known by another name there, or no more; often only the browser is told.
    await desk.register(undefined);
    const [why, help] = reasonOf(error, callback.redirect.href);
    throw failed(`Cannot log in to "${name}": ${why}`, help);
  } finally {
    callback.close();
  }
}

/** One request for authorization: what the SDK asks of a client, and what it finds. */
class Authorization implements sdk.OAuthClientProvider {
  readonly redirectUrl: string;
  readonly state: () => string;
  readonly clientMetadataUrl?: string;
  readonly validateResourceURL?: () => Promise<URL | undefined>;
  readonly #desk: LoginDesk;
  #client: sdk.StoredOAuthClientInformation | undefined;
  #found: sdk.OAuthDiscoveryState | undefined;
  #address: URL | undefined;
  #resource: string | undefined;
  #verifier = "";

  constructor(desk: LoginDesk, { redirect, state }: Callback) {
    const { known, settings: { clientUrl, issuer, resource } } = desk;
    this.#desk = desk;
    this.redirectUrl = redirect.href;
    this.state = () => state;
    if (known?.redirect === this.redirectUrl) this.#client = known;
    if (issuer !== undefined) this.#found = { authorizationServerUrl: issuer };
    if (clientUrl !== undefined) this.clientMetadataUrl = clientUrl;
    // It need not be a URL, and goes out as it is.
    const wanted = resource === false ? undefined : resource as URL | undefined;
    if (resource !== undefined) this.validateResourceURL = () => Promise.resolve(wanted);
  }

  get clientMetadata() {
    return { ...PUBLIC_CLIENT, redirect_uris: [this.redirectUrl] };
  }

  readonly discoveryState = () => this.#found;
  readonly saveDiscoveryState = (found: sdk.OAuthDiscoveryState) => void (this.#found = found);
  readonly codeVerifier = () => this.#verifier;
  readonly saveCodeVerifier = (verifier: string) => void (this.#verifier = verifier);
  readonly saveResourceUrl = (resource: string) => void (this.#resource = resource);
  readonly redirectToAuthorization = (address: URL) => void (this.#address = address);
  // Each login is a new one, and it is not the SDK that exchanges the code.
  readonly tokens = () => undefined;
  readonly saveTokens = () => {};

  clientInformation(context?: sdk.OAuthClientInformationContext) {
    const { clientId: client_id, clientSecret } = this.#desk.settings;
    if (client_id === undefined) return this.#client;
    const secret = clientSecret === undefined ? {} : { client_secret: clientSecret };
    return this.#client = { client_id, ...secret, ...(context && { issuer: context.issuer }) };
  }

  async saveClientInformation(client: sdk.StoredOAuthClientInformation): Promise<void> {
    this.#client = client;
    if (client.client_id === this.clientMetadataUrl) return;
    await this.#desk.register({ ...client, redirect: this.redirectUrl });
  }

  /** The address that a person has to open. */
  async begin(fetch: FetchDocument): Promise<URL> {
    const { url, issuer, scope: wanted } = this.#desk.settings;
    const { status, resourceMetadataUrl, scope = "" } = await challengeOf(url);
    await sdk.auth(this, {
      serverUrl: url,
      fetchFn: (to, init = {}) => named(to, fetch(String(to), init)),
      scope: wanted ?? scope,
      ...(resourceMetadataUrl && { resourceMetadataUrl }),
    }).catch((error) => {
      const { authorizationServerMetadata: its, resourceMetadata: named } = this.#found ?? {};
      if (status === 401 || !this.#found || issuer || its || named) throw error;
      throw new Error(`it asks for no login: without one it answers HTTP ${status}`);
    });
    const address = this.#address!;
    if (isSecure(address)) return address;
    throw new Error(`who gives the tokens leads people to "${address.origin}"; expected https`);
  }

  /** The grant for what came back. */
  async end(answer: URLSearchParams, fetch: FetchDocument): Promise<Granted> {
    const { authorizationServerUrl: server, authorizationServerMetadata } = this.#found!;
    const metadata: Partial<sdk.AuthorizationServerMetadata> = authorizationServerMetadata ?? {};
    // First of all: what another says is nothing to go by, nor to be shown.
    sdk.validateAuthorizationResponseIssuer({
      iss: answer.get("iss") ?? undefined,
      expectedIssuer: metadata.issuer,
      issParameterSupported: metadata.authorization_response_iss_parameter_supported === true,
    });
    const code = answer.get("code");
    if (code === null) {
      const said = [answer.get("error"), answer.get("error_description")].filter((one) => one);
      const words = said.map((one) => JSON.stringify(one)).join(": ");
      throw new Error(`${new URL(server).origin} answered ${words}`);
    }
    const methods = metadata.token_endpoint_auth_methods_supported ?? [];
    const method = sdk.selectClientAuthMethod(this.#client!, methods);
    const auth = method.replace("client_secret_", "") as "basic" | "post" | "none";
    const { client_id: id, client_secret } = this.#client!;
    const client = { id, secret: auth === "none" ? undefined : client_secret, auth };
    for (const secret of [code, this.#verifier, client_secret ?? ""]) keepSecret(secret);
    const { issuer = server, token_endpoint = new URL("/token", server).href } = metadata;
    const [resource, redirect_uri] = [this.#resource, this.redirectUrl];
    const proof = { code, code_verifier: this.#verifier, redirect_uri };
    const params = { grant_type: "authorization_code", ...proof, resource };
    const asked = { issuer, tokenEndpoint: token_endpoint, client };
    const token = await requestToken({ ...asked, params, fetch, now: Date.now });
    const scope = token.scope ?? this.#address!.searchParams.get("scope") ?? undefined;
    const whose = { url: resourceOf(this.#desk.settings.url), loginAt: token.issuedAt };
    return { ...token, ...asked, ...whose, resource, scope };
  }
}

/** What a server says of the login it wants; nothing where it wants none. */
async function challengeOf(url: string) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
  const signal = AbortSignal.timeout(TIMEOUT);
  const init = { method: "POST", headers: POST_HEADERS, body, redirect: "manual", signal } as const;
  const response = await named(url, fetch(url, init));
  response.body?.cancel().catch(() => {});
  const { status } = response;
  return { status, ...(status === 401 ? sdk.extractWWWAuthenticateParams(response) : {}) };
}

/** What comes from there; that nothing came in time says who did not answer. */
async function named<T>(url: string | URL, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if ((error as Error).name !== "TimeoutError") throw error;
    throw new Error(`${new URL(url).origin} did not answer in time`);
  }
}

/** What went wrong, and what helps, where that is known. */
function reasonOf(error: unknown, redirect: string): readonly [why: string, CliErrorOptions] {
  if (error instanceof sdk.IssuerMismatchError) {
    const hint = "Tell who runs the server";
    return ["another issuer than the one that was asked has answered", { hint }];
  }
  const why = snippet(printable(messageOf(error)));
  const auth = JSON.stringify({ type: "oauth", clientId: "…", redirect });
  const hint = `Where it registers nobody, have a client made there, and set "auth": ${auth}`;
  const isOfClient = /client registration|_client"|invalid_redirect/i.test(why);
  return [why, isOfClient ? { hint } : {}];
}

/** The tools of a server, or why they could not be listed. */
export async function toolsOf(url: string, { accessToken }: Granted): Promise<string[] | string> {
  const versionNegotiation = { mode: "auto" } as const;
  const client = new sdk.Client({ name: "mcproxy", version: VERSION }, { versionNegotiation });
  const requestInit = { headers: { authorization: `Bearer ${accessToken}` } };
  try {
    const transport = new sdk.StreamableHTTPClientTransport(new URL(url), { requestInit });
    await client.connect(transport, { timeout: TIMEOUT });
    return (await client.listTools(undefined, { timeout: TIMEOUT })).tools.map(({ name }) => name);
  } catch (error) {
    return snippet(printable(messageOf(error)));
  } finally {
    await client.close().catch(() => {});
  }
}
