/** An upstream to which each user logs in, and its users. */

import { runtime } from "#runtime";
import type { HttpTarget, SharingMode } from "../../src/config/types.ts";
import type { Client, Principal } from "../../src/protocol/exchange.ts";
import type { LineLimits } from "../../src/upstream/lines.ts";
import { Logins } from "../../src/upstream/oauth/logins.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { PersonalService, type ServiceEra } from "./personal-service.ts";
import {
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  RecordedLog,
  serverConfig,
  textOf,
  Watch,
} from "./support.ts";

/** A client of this user; a legacy one in a session. */
export function by(era: "legacy" | "modern", id: string, session = id): Client {
  const principal: Principal = { id, who: id, names: [] };
  return era === "modern"
    ? { ...MODERN_CLIENT, principal }
    : { ...LEGACY_CLIENT, label: session, session, principal };
}

export interface WorldOptions {
  readonly era: ServiceEra;
  /** Who has logged in before the start. */
  readonly users?: readonly string[];
  readonly limits?: Partial<LineLimits>;
  readonly sharing?: SharingMode;
}

export class PersonalWorld implements AsyncDisposable {
  readonly watch = new Watch();
  readonly log = new RecordedLog();
  readonly logins: Logins;
  readonly upstream: Upstream;

  private constructor(
    readonly service: PersonalService,
    { era, limits = {}, sharing = "auto" }: WorldOptions,
  ) {
    const logins = this.logins = new Logins({ file: service.file, now: service.time.now });
    const target: HttpTarget = {
      kind: "http",
      url: service.url,
      transport: "http",
      headers: {},
      login: { type: "oauth", per: "user" },
    };
    this.upstream = new Upstream({
      config: serverConfig(target, {
        name: "it",
        protocol: era === "dual" ? "auto" : era,
        sharing,
      }),
      runtime,
      logins: () => Promise.resolve(logins),
      log: this.log,
      events: this.watch,
      limits,
    });
  }

  static async open(options: WorldOptions, given?: PersonalService): Promise<PersonalWorld> {
    const service = given ?? await PersonalService.open(options.era);
    for (const user of options.users ?? []) await service.grant(user);
    const world = new PersonalWorld(service, options);
    world.upstream.start();
    await world.upstream.settled;
    return world;
  }

  /** Somebody logs in, and the gateway notices. */
  async grant(user: string, principal = user): Promise<void> {
    await this.service.grant(user, principal);
    await this.logins.look();
  }

  /** What a call comes to. */
  async call(client: Client, n?: number): Promise<string> {
    try {
      const exchange = exchangeFor(callText("whose", n === undefined ? {} : { n }), client);
      return textOf((await this.upstream.forward(exchange, [])).raw);
    } catch (error) {
      return (error as Error).message;
    }
  }

  async [Symbol.asyncDispose]() {
    this.logins.close();
    await this.upstream.close();
    await this.service[Symbol.asyncDispose]();
  }
}
