/** What a fake upstream is told to be. Plain JSON, so that it crosses a process boundary. */
export interface FakeSpec {
  /** `serverInfo.name`; default `fake`. */
  readonly name?: string;
  /** Which generation it answers; default `legacy`. */
  readonly era?: "legacy" | "modern" | "dual";
  /** The newest legacy version it negotiates; default `2025-11-25`. */
  readonly version?: string;
  /** Its `instructions`, none by default. */
  readonly instructions?: string;
  /** A count of generated items, or their names; tools default to every built-in behaviour. */
  readonly tools?: number | readonly string[];
  readonly prompts?: number | readonly string[];
  /** Names of resources (their URIs are `fake://<server name>/<name>`), or full URIs. */
  readonly resources?: number | readonly string[];
  /** Names of templates (`fake://<server name>/<name>/{id}`), or full URI templates. */
  readonly templates?: number | readonly string[];
  /** Items of a list page; default: all on one page. */
  readonly pageSize?: number;
  /** Modern era: who may keep its lists; default `public`. */
  readonly cacheScope?: "public" | "private";
  /** Milliseconds before the first message is looked at; default 0. */
  readonly startDelay?: number;
  /** A file that gets one line with the process id per start. */
  readonly startsFile?: string;
  /**
   * A JSON file whose members replace those given here, where it exists at the start: a server that
   * is something else the next time, under the same configuration. Stdio only.
   */
  readonly specFile?: string;
  /** Tools that say of themselves that they only read; none by default. */
  readonly readOnly?: readonly string[];
  readonly faults?: FakeFaults;
}

/** How a fake misbehaves. Faults of single calls are tools (`BEHAVIOURS` in `tools.mjs`). */
export interface FakeFaults {
  /** Never answers anything. */
  readonly hangOnStart?: boolean;
  /** Exits with this code before reading anything, after one line on stderr. */
  readonly crashOnStart?: number;
  /** How many starts crash (by `startsFile`); default all of them. */
  readonly crashStarts?: number;
  /** Exits at the first message that is not `initialize`, as old servers do on the era probe. */
  readonly crashOnProbe?: boolean;
  /** Exits while `initialize` is being answered. */
  readonly crashOnInitialize?: boolean;
  /** Answers `initialize` with this JSON-RPC error text. */
  readonly refuseInitialize?: string;
  /** Lines that are no JSON-RPC on stdout, at the start and before each answer. */
  readonly junk?: number;
  /** Lines on stderr at the start. */
  readonly stderrLines?: number;
  /** Every list page names the same next cursor. */
  readonly cursorLoop?: boolean;
  /** The second page's cursor is the empty string, which is a legal cursor. */
  readonly emptyCursor?: boolean;
  /** Tool schemas with a `$ref` to nowhere. */
  readonly badRef?: boolean;
  /** Methods answered with -32603. */
  readonly failMethods?: readonly string[];
  /** Goes on after stdin has ended. */
  readonly ignoreEof?: boolean;
  /** Goes on after SIGTERM. */
  readonly ignoreSigterm?: boolean;
  /** Starts a process of its own at the start, in the same process group. */
  readonly grandchild?: boolean;
  /** Stops reading stdin once it has been initialised. */
  readonly stopReading?: boolean;
}
