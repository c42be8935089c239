import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson } from "../../src/lib/json.ts";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { diffConfig, overriddenAnnotations } from "../../src/config/types.ts";

/** A file with one server of these options, and these settings. */
function parse(options: object, settings: object = {}, others: object = {}) {
  const servers = { gh: { command: "x", ...options }, ...others };
  const text = JSON.stringify({ mcpServers: servers, ...settings });
  return parseConfig(text, { file: "f", env: { OWNER: "me" } });
}

/** The shape that these options give. */
function shapeOf(options: object) {
  const result = parse(options);
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.warnings, []);
  return result.config.servers.get("gh")!.shape;
}

/** What is wrong, without the places. */
function issues(options: object, settings?: object, others?: object): string[] {
  const result = parse(options, settings, others);
  assert.ok(!result.ok, "expected issues");
  return result.issues.map((issue) => formatIssue(issue).replace(/^f:\d+:\d+ /, ""));
}

test("parseServer() has no shape where nothing is shaped", () => {
  const nothing = [{}, { tools: {} }, { tools: { exclude: [], rename: {} }, tags: [] }];
  for (const options of nothing) assert.equal(shapeOf(options), undefined);
});

test("parseServer() reads a shape into plain data, overrides in their order", () => {
  const override = {
    "*": { fixed: { owner: "${OWNER}" }, hideParameters: ["debug"] },
    search: { title: "Search", annotations: { readOnlyHint: true }, defaults: { limit: 20 } },
  };
  assert.deepEqual(
    shapeOf({
      tools: {
        include: ["get_*"],
        exclude: ["*_all"],
        rename: { get_it: "it" },
        override,
        tags: { "get_*": ["read"] },
      },
      prompts: ["review*"],
      resources: { override: { "docs://*": { mimeType: "text/markdown" } } },
      alias: "hub",
      tags: ["work"],
    }),
    {
      tools: {
        include: ["get_*"],
        exclude: ["*_all"],
        rename: { get_it: "it" },
        overrides: [
          { match: "*", fixed: { owner: "me" }, hideParameters: ["debug"] },
          { match: "search", ...override.search },
        ],
        tags: [{ match: "get_*", tags: ["read"] }],
      },
      prompts: { include: ["review*"] },
      resources: { overrides: [{ match: "docs://*", mimeType: "text/markdown" }] },
      alias: "hub",
      tags: ["work"],
    },
  );
  assert.deepEqual(shapeOf({ tools: [] }), { tools: { include: [] } });
});

test("parseServer() says what of a shape is wrong, and what was meant", () => {
  const cases: readonly [options: object, issue: string][] = [
    [
      { tools: { inclde: ["x"] } },
      'mcpServers.gh.tools.inclde: unknown key "inclde" (did you mean "include"?)',
    ],
    [
      { tools: { override: { x: { annotations: { readonlyHit: true } } } } },
      'mcpServers.gh.tools.override.x.annotations.readonlyHit: unknown key "readonlyHit" ' +
      '(did you mean "readOnlyHint"?)',
    ],
    [
      { resources: { rename: { x: "y" } } },
      'mcpServers.gh.resources.rename: unknown key "rename", expected an object ' +
      'with "include", "exclude", "override", "tags"',
    ],
    [
      { tools: { rename: { a: "c", b: "c" } } },
      'mcpServers.gh.tools.rename.b: found "c", expected a name of its own: "a" becomes "c", too',
    ],
    [
      { tools: { rename: { a: "not/good" } } },
      'mcpServers.gh.tools.rename.a: found "not/good", expected a name of at most 40 of the ' +
      'characters A-Z a-z 0-9 "_" "-"',
    ],
    [
      { tools: { override: { x: { defaults: { p: 1 }, fixed: { p: 2 } } } } },
      "mcpServers.gh.tools.override.x.defaults.p: found 1, expected either a default or a fixed " +
      'value for "p", not both',
    ],
    [
      { tools: "get_*" },
      'mcpServers.gh.tools: found "get_*", expected an object with "include", "exclude", ' +
      '"rename", "override", "tags"',
    ],
    [
      { tools: ["get_*", 1] },
      "mcpServers.gh.tools[1]: found 1, expected a string; put it in double quotes",
    ],
    [
      { prompts: { exclude: ["{a,b}".repeat(9)] } },
      'mcpServers.gh.prompts.exclude[0]: found "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", ' +
      "expected a pattern of at most 512 characters and 256 alternatives",
    ],
    [
      { tools: { include: [""] } },
      'mcpServers.gh.tools.include[0]: found "", expected a pattern that is not empty',
    ],
    [
      { alias: "a b" },
      'mcpServers.gh.alias: found "a b", expected a name of at most 40 of the characters A-Z a-z ' +
      '0-9 "_" "-"',
    ],
    [
      { tags: ["a b"] },
      'mcpServers.gh.tags[0]: found "a b", expected a tag of the characters A-Z a-z 0-9 "_" "-" ' +
      '"." ":"',
    ],
    [
      { tools: { tags: { x: "read" } } },
      'mcpServers.gh.tools.tags.x: found "read", expected an array of tags',
    ],
  ];
  for (const [options, issue] of cases) assert.deepEqual(issues(options), [issue]);
});

test("parseConfig() reads profiles and tags in the order of the file", () => {
  const result = parse({ tags: ["work"] }, {
    profiles: {
      reading: { tags: ["read"], tools: ["get_*"], instructions: "Only read.", prefix: "never" },
      all: {},
      hub: { servers: ["g*"], resources: { exclude: ["secret://*"] } },
    },
    tags: { "*_get_*": ["read"] },
  });
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(result.config.settings.profiles, [
    {
      name: "reading",
      tags: ["read"],
      tools: { include: ["get_*"] },
      instructions: "Only read.",
      prefix: "never",
    },
    { name: "all" },
    { name: "hub", servers: ["g*"], resources: { exclude: ["secret://*"] } },
  ]);
  assert.deepEqual(result.config.settings.tags, [{ match: "*_get_*", tags: ["read"] }]);
});

test("parseConfig() says what of a profile is wrong", () => {
  const profiles = (of: object) => issues({}, { profiles: of });
  assert.deepEqual(profiles({ dev: { server: ["gh"] } }), [
    'profiles.dev.server: unknown key "server" (did you mean "servers"?)',
  ]);
  assert.deepEqual(profiles({ "a/b": {} }), [
    'profiles["a/b"]: unknown key "a/b", expected a profile name: letters, digits and . _ -, ' +
    "starting with a letter or digit",
  ]);
  assert.deepEqual(profiles({ dev: { tools: { rename: {} } } }), [
    'profiles.dev.tools.rename: unknown key "rename", expected an object with "include", ' +
    '"exclude"',
  ]);
  assert.deepEqual(issues({}, { profiles: ["dev"] }), [
    "profiles: found an array, expected an object of profiles",
  ]);
});

test("parseConfig() refuses an alias that is another server's name or alias", () => {
  assert.deepEqual(issues({ alias: "fs" }, {}, { fs: { command: "x" } }), [
    'mcpServers.gh.alias: found "fs", which server "fs" is called in tool names, expected ' +
    "another name",
  ]);
  assert.deepEqual(issues({ alias: "a" }, {}, { fs: { command: "x", alias: "a" } }), [
    'mcpServers.fs.alias: found "a", which server "gh" is called in tool names, expected ' +
    "another name",
  ]);
  assert.deepEqual(issues({ alias: "My_Files" }, {}, { "My Files": { command: "x" } }), [
    'mcpServers.gh.alias: found "My_Files", which server "My Files" is called in tool names, ' +
    "expected another name",
  ]);
  // Two that swap their names are told apart as well as before.
  assert.ok(parse({ alias: "fs" }, {}, { fs: { command: "x", alias: "gh" } }).ok);
});

test("parseConfig() warns of servers and tags that a profile names and nobody has", () => {
  const result = parse({ tools: { tags: { "*": ["known"] } } }, {
    profiles: { dev: { servers: ["gh", "git*"], tags: ["known", "unknown"] } },
  });
  assert.ok(result.ok);
  assert.deepEqual(result.warnings.map(({ path, message }) => `${path}: ${message}`), [
    'profiles.dev.servers[1]: "git*" is the name of no server, expected one of "gh"',
    'profiles.dev.tags[1]: nothing has the tag "unknown"',
  ]);
});

test("parseConfig() knows the servers of a profile by their aliases, too", () => {
  const result = parse({ alias: "hub" }, { profiles: { dev: { servers: ["hub"] } } });
  assert.ok(result.ok);
  assert.deepEqual(result.warnings, []);
});

test("overriddenAnnotations() has what matches the name, of the same hint the last", () => {
  const overrides = [
    { match: "*", annotations: { readOnlyHint: true, openWorldHint: true } },
    { match: "put_*", title: "Put", annotations: { readOnlyHint: false } },
    { match: "put_all", title: "All" },
  ];
  assert.deepEqual(overriddenAnnotations(overrides, "put_all"), {
    readOnlyHint: false,
    openWorldHint: true,
  });
  assert.deepEqual(overriddenAnnotations(overrides.slice(1), "get"), {});
});

test("diffConfig() sees a change of shape, which keeps the connection", () => {
  const config = (options: object, settings: object = {}) => {
    const result = parse(options, settings);
    assert.ok(result.ok);
    return result.config;
  };
  const before = config({ tools: { override: { a: { title: "A" }, b: { title: "B" } } } });
  const turned = config({ tools: { override: { b: { title: "B" }, a: { title: "A" } } } });
  assert.deepEqual(diffConfig(before, turned).changed, ["gh"]);
  const [one, other] = [before, turned].map(({ servers }) => servers.get("gh")!);
  assert.equal(one!.key, other!.key);
  const profiled = config({}, { profiles: { dev: {} } });
  assert.deepEqual(diffConfig(config({}), profiled).settingsChanged, ["profiles"]);
  assert.deepEqual(diffConfig(config({}), profiled).restartNeeded, []);
  // Plain data through and through: what is compared as text.
  assert.equal(canonicalJson(JSON.parse(JSON.stringify(one!.shape))), canonicalJson(one!.shape));
});
