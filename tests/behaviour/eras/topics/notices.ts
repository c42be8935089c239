import assert from "node:assert/strict";
import type { ModernPeer } from "../../../support/clients/modern-peer.ts";
import { inWords, type Peer } from "../../../support/clients/peer.ts";
import { listKeys } from "../../helpers.ts";
import type { Cell } from "../requirements.ts";
import type { EraSuite } from "../suite.ts";

const LINES = ["debug", "info", "warning", "error"];

/** Opens the stream on which a modern client hears what it asked for; legacy ones have theirs. */
async function listen(peer: Peer, notifications: Record<string, unknown>): Promise<void> {
  await (peer as ModernPeer).start("subscriptions/listen", { notifications }, { id: "listen" });
  await peer.heard.waitFor(({ json }) =>
    json.method === "notifications/subscriptions/acknowledged"
  );
}

/** What a client hears before anything of a call, once it has said its level. */
async function setLevel({ client }: Cell, peer: Peer, level: string): Promise<string[]> {
  if (client === "modern") return [];
  await peer.request("logging/setLevel", { level }, { id: "level" });
  return ['answer "level": {}'];
}

/** Notifications, in both directions. */
export function notices({ verifies }: EraSuite): void {
  verifies("progress.order", async ({ peer }) => {
    const client = await peer();
    const tokens = [1, "1", "a token"];
    for (const [id, token] of tokens.entries()) {
      await client.call("talk_progress", { n: 3 }, { id, token });
    }
    const { label } = client;
    assert.deepEqual(
      await client.finish(),
      tokens.flatMap((token, id) => [
        ...[1, 2, 3].map((n) => `progress ${JSON.stringify(token)}: ${n}/3 ${label}`),
        `answer ${id}: {"tag":"${label}"}`,
      ]),
    );
  });

  verifies("progress.last", async ({ peer }) => {
    const client = await peer();
    await client.call("plain_progress_chunk", {}, { token: 7 });
    assert.deepEqual(await client.finish(), ["progress 7: 1/1 step 1", "answer 1: progressed"]);
  });

  verifies("cancel", async ({ control, peer }) => {
    const client = await peer();
    const { label } = client;
    const key = `cancel ${label}`;
    // A cancelled call has no answer to wait for.
    client.call("talk_wait", { key }, { token: 1 }).catch(() => {});
    await control.waiting(label);
    await client.heard.waitFor(() => true);
    await client.cancel(1);
    await control.events.waitFor(({ kind, tag }) => kind === "cancelled" && tag === label);
    control.tell({ open: key });
    await client.call("talk_echo", {}, { id: 2 });
    assert.deepEqual(await client.finish(), [
      `progress 1: 0/1 ${label}`,
      `answer 2: {"tag":"${label}"}`,
    ]);
  });

  verifies("logging.level", async ({ cell, peer }) => {
    for (const [level, count] of [["debug", 4], ["warning", 2], ["emergency", 0]] as const) {
      const client = await peer();
      const before = await setLevel(cell, client, level);
      await client.call("talk_log", { levels: LINES }, { logLevel: level });
      const { label } = client;
      assert.deepEqual(await client.finish(), [
        ...before,
        ...LINES.slice(LINES.length - count).map((line) => `log ${line}: ${label}`),
        `answer 1: {"tag":"${label}"}`,
      ], level);
    }
  });

  verifies("resources.updated", async ({ cell, control, peer }) => {
    const [a, b, bystander] = [await peer(), await peer(), await peer()];
    const subscribers = [[a, "note://a"], [b, "note://b"]] as const;
    for (const [client, uri] of subscribers) {
      if (cell.client === "modern") await listen(client, { resourceSubscriptions: [uri] });
      else await client.request("resources/subscribe", { uri }, { id: "listen" });
    }
    for (const [client, uri] of subscribers) {
      control.tell({ touch: uri });
      await client.heard.waitFor((message) => inWords(message) === `updated ${uri}`);
    }
    const confirmed = cell.client === "modern"
      ? "notifications/subscriptions/acknowledged"
      : 'answer "listen": {}';
    for (const [client, uri] of subscribers) {
      assert.deepEqual(await client.finish(), [confirmed, `updated ${uri}`]);
    }
    assert.deepEqual(await bystander.finish(), []);
  });

  verifies("lists.changed", async ({ cell, peer }) => {
    const client = await peer();
    const { label } = client;
    if (cell.client === "modern") {
      await listen(client, {
        toolsListChanged: true,
        promptsListChanged: true,
        resourcesListChanged: true,
      });
    }
    const added = {
      tools: [`fresh_${label}`, `plain_fresh_${label}`],
      prompts: [`fresh_${label}`, `plain_fresh_${label}`],
      resources: [`fresh://${label}`, `fresh://${label}`],
    } as const;
    for (const kind of ["tools", "prompts", "resources"] as const) {
      const [add, exposed] = added[kind];
      assert.ok(!(await listKeys(client, kind)).includes(exposed), kind);
      const from = client.heard.items.length;
      await client.call("plain_change", { kind, add }, { id: `change ${kind}` });
      const method = `notifications/${kind}/list_changed`;
      const heard = await client.heard.waitFor(({ json }) => json.method === method, { from });
      if (cell.client === "modern") assert.equal(heard.via, 'request "listen"');
      assert.ok((await listKeys(client, kind)).includes(exposed), kind);
    }
    const announced = client.heard.items.flatMap(({ json }) =>
      /list_changed$/.test(json.method) ? [json.method] : []
    );
    assert.deepEqual(
      announced,
      Object.keys(added).map((kind) => `notifications/${kind}/list_changed`),
    );
  });
}
