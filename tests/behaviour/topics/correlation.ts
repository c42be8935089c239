import assert from "node:assert/strict";
import { rawAt } from "../../../src/lib/json-edit.ts";
import { type HttpAnswer, HttpClient } from "../../support/clients/http.ts";
import { isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { SseClient } from "../../support/clients/old-sse.ts";
import { call, callText } from "../helpers.ts";
import type { Suite } from "../suite.ts";

const PROGRESS = "notifications/progress";

/** What belongs to one call reaches its client, and no other. */
export function correlation({ verifies }: Suite): void {
  verifies("progress.token", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const answer = await client.start("tools/call", {
      name: "alpha_progress",
      arguments: { n: 3 },
      _meta: { progressToken: "my-token" },
    }, 5);
    await answer.messages.waitFor(isResponseTo(5));
    const params = answer.messages.items.map(({ json }) => json.params);
    assert.deepEqual(params.map((one) => one?.progress), [1, 2, 3, undefined]);
    assert.ok(params.slice(0, 3).every((one) => one.progressToken === "my-token"));
    assert.equal(params[0].message, "step 1");
    assert.equal(rawAt(answer.messages.items[0]!.text, ["params", "x-vendor"]), "1.0");
  });

  verifies("progress.type", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (const token of [0, 7, "7", ""]) {
      const answer = await client.start("tools/call", {
        name: "alpha_progress",
        arguments: { n: 1 },
        _meta: { progressToken: token },
      });
      const note = await answer.messages.waitFor(isNotification(PROGRESS));
      assert.equal(note.json.params.progressToken, token);
    }
  });

  verifies("progress.last", async ({ world }) => {
    const { gateway } = await world();
    for (const client of [await HttpClient.connect(gateway.url), new ModernClient(gateway.url)]) {
      for (const server of ["alpha", "modern", "web"]) {
        const answer = await startWithToken(client, `${server}_progress_chunk`);
        await answer.messages.waitFor(({ json }) => json?.result !== undefined);
        const methods = answer.messages.items.map(({ json }) => json.method);
        assert.deepEqual(methods, [PROGRESS, undefined], server);
      }
    }
  });

  verifies("progress.private", async ({ world }) => {
    const { gateway } = await world();
    const [one, two] = [
      await HttpClient.connect(gateway.url),
      await HttpClient.connect(gateway.url),
    ];
    const standing = [await one.listen(), await two.listen()];
    const waiting = await one.start("tools/call", {
      name: "alpha_wait",
      arguments: { key: "private" },
      _meta: { progressToken: "same" },
    }, "same-id");
    await waiting.messages.waitFor(isNotification(PROGRESS));
    const running = await two.start("tools/call", {
      name: "alpha_progress",
      arguments: { n: 4 },
      _meta: { progressToken: "same" },
    }, "same-id");
    const second = await running.messages.waitFor(isResponseTo("same-id"));
    assert.equal(textOf(second), "progressed");
    assert.equal(running.messages.items.length, 5);
    await callText(two, "alpha_release", { key: "private" });
    const first = await waiting.messages.waitFor(isResponseTo("same-id"));
    assert.equal(textOf(first), "released private");
    assert.equal(waiting.messages.items.length, 2);
    for (const stream of standing) {
      assert.deepEqual(stream.messages.items.filter(isNotification(PROGRESS)), []);
      stream.close();
    }
  });

  verifies("progress.http", async ({ world, scope }) => {
    const { gateway } = await world();
    const legacy = await HttpClient.connect(gateway.url);
    const modern = new ModernClient(gateway.url);
    for (const client of [legacy, modern]) {
      for (const server of ["modern", "web", "old"]) {
        const answer = await startWithToken(client, `${server}_progress`, { n: 2 });
        await answer.messages.waitFor(({ json }) => json?.result !== undefined);
        const tokens = answer.messages.items.map(({ json }) => json.params?.progressToken);
        assert.deepEqual(tokens, ["token", "token", undefined], server);
      }
    }
    const sse = scope.use(await SseClient.connect(`${gateway.base}/sse`));
    const from = sse.messages.items.length;
    await call(sse, "alpha_progress", { n: 2 }, { progressToken: "t" });
    const tokens = sse.messages.items.slice(from).map(({ json }) => json.params?.progressToken);
    assert.deepEqual(tokens, ["t", "t", undefined]);
  });

  verifies("cancel.legacy", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (const server of ["alpha", "web", "modern"]) {
      const key = `cancel.legacy ${server}`;
      const waiting = await startWithToken(client, `${server}_wait`, { key }, 77);
      await waiting.messages.waitFor(isNotification(PROGRESS));
      const requestId = 77;
      assert.equal((await client.notify("notifications/cancelled", { requestId })).status, 202);
      const seen = await callText(client, `${server}_cancellations`, { key });
      assert.ok(!JSON.parse(seen).includes(null), `${server} got an id it does not know: ${seen}`);
    }
  });

  verifies("cancel.private", async ({ world }) => {
    const { gateway } = await world();
    const [one, two] = [
      await HttpClient.connect(gateway.url),
      await HttpClient.connect(gateway.url),
    ];
    const first = await startWithToken(one, "alpha_wait", { key: "gone" }, 5);
    const second = await startWithToken(two, "alpha_wait", { key: "stays" }, 5);
    await first.messages.waitFor(isNotification(PROGRESS));
    await second.messages.waitFor(isNotification(PROGRESS));
    await one.notify("notifications/cancelled", { requestId: 5 });
    const seen = await callText(one, "alpha_cancellations", { key: "gone" });
    assert.ok(!JSON.parse(seen).some((args: { key?: string }) => args?.key === "stays"));
    await callText(one, "alpha_release", { key: "stays" });
    assert.equal(textOf(await second.messages.waitFor(isResponseTo(5))), "released stays");
  });

  verifies("cancel.modern", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    for (const server of ["alpha", "web", "modern"]) {
      const key = `cancel.modern ${server}`;
      const waiting = await startWithToken(client, `${server}_wait`, { key });
      await waiting.messages.waitFor(isNotification(PROGRESS));
      waiting.close();
      await callText(client, `${server}_cancellations`, { key });
    }
  });

  verifies("cancel.disconnect", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const key = "disconnected";
    const waiting = await startWithToken(client, "alpha_wait", { key });
    await waiting.messages.waitFor(isNotification(PROGRESS));
    waiting.close();
    await callText(client, "alpha_release", { key });
    const seen = JSON.parse(await callText(client, "alpha_cancellations"));
    assert.ok(!seen.some((args: { key?: string }) => args?.key === key));
  });

  verifies("ids.exact", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (const id of ["0", "-7", '""', '"7"', '"\\u00e9\\n"', "9007199254740993", "1.5"]) {
      for (const method of ["ping", "tools/call"]) {
        const params = method === "ping" ? "{}" : '{"name":"alpha_echo","arguments":{}}';
        const body = `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`;
        const { text } = await client.post(body);
        const back = rawAt(text, ["id"]);
        assert.ok(
          back === id || JSON.parse(back!) === JSON.parse(id),
          `${id} came back as ${back}`,
        );
        if (/^\d+$/.test(id)) assert.equal(back, id);
      }
    }
  });

  verifies("ids.parallel", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const answers = Array.from({ length: 60 }, (_, i) => {
      const server = ["alpha", "beta", "modern", "web", "old"][i % 5];
      return callText(client, `${server}_echo`, { i });
    });
    const slow = call(client, "alpha_wait", { key: "parallel" });
    assert.deepEqual(await Promise.all(answers), answers.map((_, i) => JSON.stringify({ i })));
    await callText(client, "beta_pid");
    await callText(client, "alpha_release", { key: "parallel" });
    assert.equal(textOf(await slow), "released parallel");
  });

  verifies("reverse.ping", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (const server of ["alpha", "web", "old"]) {
      const answer = JSON.parse(await callText(client, `${server}_ask`, { method: "ping" }));
      assert.deepEqual(answer.result, {}, server);
    }
  });

  verifies("reverse.refused", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const bystander = await (await HttpClient.connect(gateway.url)).listen();
    for (const server of ["alpha", "web", "old"]) {
      const question = { method: "elicitation/create", params: { message: "Who are you?" } };
      const answer = JSON.parse(await callText(client, `${server}_ask`, question));
      // The client declared no elicitation: nobody may be asked.
      assert.equal(typeof answer.error?.code, "number", server);
      const unknown = await callText(client, `${server}_ask`, { method: "vendor/unheard-of" });
      assert.equal(JSON.parse(unknown).error?.code, -32601, server);
    }
    assert.deepEqual(bystander.messages.items, []);
    bystander.close();
  });
}

function startWithToken(
  client: HttpClient | ModernClient,
  name: string,
  args: Record<string, unknown> = {},
  id?: number,
): Promise<HttpAnswer> {
  if (client instanceof ModernClient) {
    const params = { name, arguments: args };
    return client.start("tools/call", params, { meta: { progressToken: "token" } });
  }
  const params = { name, arguments: args, _meta: { progressToken: "token" } };
  return id === undefined
    ? client.start("tools/call", params)
    : client.start("tools/call", params, id);
}
