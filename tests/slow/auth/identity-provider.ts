/** A real identity provider on loopback, which can be told to change its keys, to hang, to be gone. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

export const CLIENT = { id: "client", secret: "client-secret-of-the-test" };

/** A client without a secret, for people. */
export const APP = { id: "app" };

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An identity provider; its tokens are for whom they are asked for. */
export class IdentityProvider {
  readonly issuer: string;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** Instead of the provider, for what is about keys. */
  instead: Handler | undefined;
  #provider!: Handler;
  #oidc!: Provider;

  private constructor(private readonly server: Server) {
    this.issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      this.asked.push(request.url ?? "");
      const isToken = request.url === "/token";
      (isToken ? this.#provider : this.instead ?? this.#provider)(request, response);
    });
  }

  static async start(): Promise<IdentityProvider> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const provider = new IdentityProvider(server);
    await provider.rotate();
    return provider;
  }

  /** Another key, and no other. */
  async rotate(): Promise<void> {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    const provider = new Provider(this.issuer, {
      clients: [{
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: "ES256",
      }, {
        client_id: APP.id,
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: ["http://127.0.0.1/callback"],
        response_types: ["code"],
        application_type: "native",
        id_token_signed_response_alg: "ES256",
      }],
      findAccount: (_: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub }) }),
      scopes: ["openid", "offline_access", "mcp:use", "mcp:write"],
      rotateRefreshToken: true,
      clientDefaults: { id_token_signed_response_alg: "ES256" },
      jwks: { keys: [{ ...await exportJWK(privateKey), alg: "ES256", use: "sig" }] },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        revocation: { enabled: true },
        registration: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_: unknown, resource: string) => ({
            scope: "mcp:use mcp:write",
            audience: resource,
            accessTokenFormat: "jwt",
            accessTokenTTL: 7_200,
            jwt: { sign: { alg: "ES256" } },
          }),
        },
      },
    });
    this.#oidc = provider;
    const callback = provider.callback();
    this.#provider = (request, response) =>
      void (request.url?.startsWith("/interaction/")
        ? this.#consent(request, response)
        : callback(request, response));
  }

  /** Alice is whoever asks, and agrees to everything. */
  async #consent(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, params, session } = await this.#oidc.interactionDetails(request, response);
    if (prompt.name === "login") {
      const login = { accountId: "alice" };
      return await this.#oidc.interactionFinished(request, response, { login });
    }
    const { client_id, scope, resource } = params as Record<string, string>;
    const grant = new this.#oidc.Grant({
      accountId: session!.accountId!,
      clientId: client_id!,
    });
    grant.addOIDCScope(scope!);
    grant.addResourceScope(resource!, scope!);
    const consent = { grantId: await grant.save() };
    await this.#oidc.interactionFinished(request, response, { consent });
  }

  /** A token of the client for a resource. */
  async token(resource: string, scope = "mcp:use"): Promise<string> {
    const response = await fetch(`${this.issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
      body: new URLSearchParams({ grant_type: "client_credentials", resource, scope }),
    });
    const answer = await response.json() as { access_token?: string };
    if (answer.access_token === undefined) throw new Error(JSON.stringify(answer));
    return answer.access_token;
  }

  /** A refresh token, as a login brings one: good once, and the end of all that came of it when used twice. */
  async login(resource: string): Promise<string> {
    const { Grant, RefreshToken, Client } = this.#oidc;
    const grant = new Grant({ accountId: "alice", clientId: APP.id });
    grant.addOIDCScope("openid offline_access");
    grant.addResourceScope(resource, "mcp:use");
    const token = new RefreshToken({
      accountId: "alice",
      client: await Client.find(APP.id),
      grantId: await grant.save(),
      gty: "authorization_code",
      scope: "openid offline_access mcp:use",
      resource,
    } as never);
    return await token.save();
  }

  /** Cuts all its connections. */
  hangUp(): void {
    this.server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.hangUp();
    this.server.close();
    await once(this.server, "close");
  }
}
