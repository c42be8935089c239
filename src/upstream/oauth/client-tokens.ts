import type { ClientConfig } from "../../config/types.ts";
import type { JsonObject } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import { issuerMetadata } from "../../protocol/issuer.ts";
import { LoginError } from "../transport/failures.ts";
import { requestToken, type Token, type TokenClient, TokenError } from "./token.ts";
import { Tokens, type TokensOptions } from "./tokens.ts";

/** The tokens of a gateway that an issuer knows by name: in memory only. */
export class ClientTokens extends Tokens {
  #metadata: JsonObject | undefined;

  constructor(options: TokensOptions, private readonly config: ClientConfig) {
    super(options);
  }

  protected async obtain(): Promise<Token> {
    const { server, url, now, fetchFor } = this.options;
    const { issuer, scope, resource } = this.config;
    const fetch = fetchFor([issuer]);
    const metadata = this.#metadata ??= await this.#found();
    const { token_endpoint: endpoint, token_endpoint_auth_methods_supported: methods } = metadata;
    if (typeof endpoint !== "string" || !URL.canParse(endpoint)) {
      throw new TokenError(`the metadata of ${issuer} name no token endpoint`);
    }
    const params = {
      grant_type: "client_credentials",
      scope,
      resource: resource === false ? undefined : resource ?? resourceOf(url),
    };
    const client = clientOf(this.config, Array.isArray(methods) ? methods : []);
    try {
      return await requestToken({ endpoint, client, params }, fetch, now);
    } catch (error) {
      this.#metadata = undefined;
      if (!(error instanceof TokenError)) throw error;
      throw error.isFinal ? new LoginError(server, `gets no token: ${error.message}`) : error;
    }
  }

  async #found(): Promise<JsonObject> {
    const { issuer } = this.config;
    const found = await issuerMetadata(issuer, this.options.fetchFor([issuer]))
      .catch((error) => `${issuer} could not be reached: ${messageOf(error)}`);
    if (typeof found === "string") throw new TokenError(found);
    return found;
  }

  /** Nobody can be asked to log in: it stays the refusal that it is. */
  protected rejected(): Promise<boolean> {
    return Promise.resolve(false);
  }

  protected lacking(): LoginError {
    const why = 'needs more rights than its token gives: see "scope" in its "auth"';
    return new LoginError(this.options.server, why);
  }
}

function clientOf(
  { clientId: id, clientSecret, privateKey }: ClientConfig,
  methods: readonly unknown[],
): TokenClient {
  if (privateKey !== undefined) return { id, secret: privateKey, auth: "private_key_jwt" };
  const isPosted = methods.includes("client_secret_post") &&
    !methods.includes("client_secret_basic");
  return { id, secret: clientSecret, auth: isPosted ? "post" : "basic" };
}

/** The address of a server as its tokens name it: what is secret in it is nobody's business. */
export function resourceOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + (pathname === "/" ? "" : pathname);
}
