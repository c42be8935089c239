import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editJson } from "../../src/lib/json-edit.ts";
import { openCursor, sealCursor } from "../../src/protocol/lists.ts";
import { encodeHeaderValue, nameOf } from "../../src/protocol/eras.ts";
import {
  type NotificationMessage,
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import {
  createdTask,
  exposeTaskId,
  incomingTaskEdits,
  isTaskMethod,
  mergedTaskList,
  outgoingTaskEdits,
  ownerOfTask,
  responseTaskEdits,
  taskListEdits,
  taskListQuestions,
} from "../../src/protocol/tasks.ts";

const RELATED = "io.modelcontextprotocol/related-task";
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("", ".", "~", "a.b", "~2e~", "__proto__", "\ud83d", "\udca9", "🎉", "-_~"),
);

function response(resultText: string): ResponseMessage {
  return parseMessage(`{"jsonrpc":"2.0","id":1,"result":${resultText}}`) as ResponseMessage;
}
function sent(method: string, paramsText: string): NotificationMessage {
  return parseMessage(
    `{"jsonrpc":"2.0","method":"${method}","params":${paramsText}}`,
  ) as NotificationMessage;
}
function asked(method: string, paramsText: string): RequestMessage {
  return parseMessage(
    `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${paramsText}}`,
  ) as RequestMessage;
}
const exposed = (resultText: string, method: string, server = "a b") => {
  const message = response(resultText);
  return editJson(message.raw, responseTaskEdits(message, method, server))
    .slice('{"jsonrpc":"2.0","id":1,"result":'.length, -1);
};

test("ownerOfTask() undoes exposeTaskId(), whatever the names and ids", () => {
  fc.assert(fc.property(text, text, (server, taskId) => {
    const id = exposeTaskId(server, taskId);
    assert.deepEqual(ownerOfTask(id), { server, taskId });
    assert.match(id.slice(0, id.length - taskId.length), /^[A-Za-z0-9_~-]*\.$/);
  }));
});

test("exposeTaskId() gives two tasks two ids", () => {
  fc.assert(fc.property(text, text, text, text, (server, taskId, other, otherId) => {
    fc.pre(server !== other || taskId !== otherId);
    assert.notEqual(exposeTaskId(server, taskId), exposeTaskId(other, otherId));
  }));
});

test("exposeTaskId() keeps plain names readable and ids fit for Mcp-Name", () => {
  assert.equal(exposeTaskId("my-server_1", "786512e2-9e0d"), "my-server_1.786512e2-9e0d");
  assert.equal(exposeTaskId("my server.1", "x.y"), "my~20~server~2e~1.x.y");
  const id = exposeTaskId("näme", "t-1");
  assert.equal(encodeHeaderValue(id), id);
  const request = asked("tasks/get", `{"taskId":${JSON.stringify(id)}}`);
  const upstream = parseMessage(editJson(request.raw, incomingTaskEdits(request, "näme")));
  assert.equal(nameOf("tasks/get", (upstream as RequestMessage).params), "t-1");
});

test("ownerOfTask() refuses what exposeTaskId() cannot have made", () => {
  for (
    const id of ["", "task", "a b.x", "~61~.x", "~zz~.x", "~.x", "~110000~.x", "~d83d~~de00~.x"]
  ) {
    assert.equal(ownerOfTask(id), undefined, id);
  }
  fc.assert(fc.property(text, (id) => {
    const owner = ownerOfTask(id);
    if (owner !== undefined) assert.equal(exposeTaskId(owner.server, owner.taskId), id);
  }));
});

test("responseTaskEdits() exposes the id of a task that a call created, of both generations", () => {
  assert.equal(
    exposed('{"task":{"ttl":1.0,"taskId":"t"},"x":12345678901234567890}', "tools/call"),
    '{"task":{"ttl":1.0,"taskId":"a~20~b.t"},"x":12345678901234567890}',
  );
  assert.equal(
    exposed('{"resultType":"task","taskId":"t","ttlMs":null}', "tools/call"),
    '{"resultType":"task","taskId":"a~20~b.t","ttlMs":null}',
  );
  assert.equal(createdTask(response('{"task":{"taskId":"t"}}'), "tools/call"), "t");
  assert.equal(createdTask(response('{"resultType":"task","taskId":"t"}'), "tools/call"), "t");
  assert.equal(createdTask(response('{"content":[]}'), "tools/call"), undefined);
  assert.equal(createdTask(response('{"taskId":"t"}'), "tasks/get"), undefined);
});

test("responseTaskEdits() leaves what only looks like a task", () => {
  for (
    const [method, result] of [
      ["tools/call", '{"content":[],"taskId":"t","task":{"taskId":"t"}}'],
      ["tools/call", '{"task":"t"}'],
      ["tools/call", '{"resultType":"task","taskId":7}'],
      ["prompts/get", '{"taskId":"t","task":{"taskId":"t"}}'],
      ["tools/call", '{"content":[],"_meta":{"__proto__":{"taskId":"t"}}}'],
      ["tasks/list", '{"tasks":{}}'],
    ] as const
  ) assert.equal(exposed(result, method), result);
  const error = parseMessage('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"taskId"}}');
  assert.deepEqual(responseTaskEdits(error as ResponseMessage, "tasks/get", "a"), []);
});

test("responseTaskEdits() exposes ids in answers about tasks and in related-task", () => {
  for (const method of ["tasks/get", "tasks/cancel"]) {
    assert.equal(exposed('{"taskId":"t","n":1.0}', method), '{"taskId":"a~20~b.t","n":1.0}');
  }
  assert.equal(
    exposed(`{"content":[],"_meta":{"${RELATED}":{"taskId":"t"}}}`, "tasks/result"),
    `{"content":[],"_meta":{"${RELATED}":{"taskId":"a~20~b.t"}}}`,
  );
  assert.equal(
    exposed('{"tasks":[ {"n":1.0,"taskId":"t"}, 7 ,{"taskId":8}],"nextCursor":""}', "tasks/list"),
    '{"tasks":[{"n":1.0,"taskId":"a~20~b.t"},7,{"taskId":8}],"nextCursor":""}',
  );
});

test("outgoingTaskEdits() exposes ids in notifications, and in requests the related task only", () => {
  const edited = (message: NotificationMessage | RequestMessage) =>
    (parseMessage(editJson(message.raw, outgoingTaskEdits(message, "s"))) as RequestMessage).params;
  const related = { [RELATED]: { taskId: "t" } };
  const exposedRelated = { [RELATED]: { taskId: "s.t" } };
  for (const method of ["notifications/tasks", "notifications/tasks/status"]) {
    assert.deepEqual(edited(sent(method, '{"taskId":"t"}')), { taskId: "s.t" });
  }
  const progress = `{"taskId":"t","_meta":${JSON.stringify(related)}}`;
  assert.deepEqual(edited(sent("notifications/progress", progress)), {
    taskId: "t",
    _meta: exposedRelated,
  });
  // A task that the client made for its server has the client's own id.
  assert.deepEqual(edited(asked("tasks/get", progress)), { taskId: "t", _meta: exposedRelated });
});

test("incomingTaskEdits() gives a server its own ids back, and nobody else's", () => {
  const id = exposeTaskId("a", "t.1");
  const meta = `"_meta":{"${RELATED}":{"taskId":"${id}"},"k":1.0}`;
  const request = asked("tasks/cancel", `{"taskId":"${id}",${meta}}`);
  assert.equal(
    editJson(request.raw, incomingTaskEdits(request, "a")),
    request.raw.replaceAll(id, "t.1"),
  );
  assert.deepEqual(incomingTaskEdits(request, "b"), []);
  const answer = response(`{"action":"accept",${meta}}`);
  assert.equal(
    editJson(answer.raw, incomingTaskEdits(answer, "a")),
    answer.raw.replaceAll(id, "t.1"),
  );
  const call = asked("tools/call", `{"name":"x","arguments":{"taskId":"${id}"},"taskId":"${id}"}`);
  assert.deepEqual(incomingTaskEdits(call, "a"), []);
});

test("isTaskMethod() knows the methods of each era", () => {
  const all = [
    "tasks/get",
    "tasks/cancel",
    "tasks/result",
    "tasks/update",
    "tasks/list",
    "toString",
  ];
  assert.deepEqual(all.filter((method) => isTaskMethod(method, "legacy")), [
    "tasks/get",
    "tasks/cancel",
    "tasks/result",
  ]);
  assert.deepEqual(all.filter((method) => isTaskMethod(method, "modern")), [
    "tasks/get",
    "tasks/cancel",
    "tasks/update",
  ]);
});

test("mergedTaskList() walks every server to its end, whatever its pages", () => {
  const pages = fc.array(fc.array(fc.integer(), { maxLength: 3 }), { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(fc.uniqueArray(text, { maxLength: 4 }), fc.func(pages), (names, of) => {
    const lists = new Map(names.map((name) => [name, of(name)]));
    const ask = (server: string, cursor: string | undefined): ResponseMessage => {
      const at = cursor === undefined ? 0 : cursor.length;
      const mine = lists.get(server)!;
      // The empty cursor is one too.
      const tasks = mine[at]!.map((n, index) => ({ taskId: `${at}.${index}`, n }));
      const next = at + 1 < mine.length ? "x".repeat(at + 1) : undefined;
      return response(JSON.stringify({ tasks, nextCursor: next }));
    };
    const seen = new Map<string, number[]>(names.map((name) => [name, []]));
    let cursor: unknown;
    for (let page = 0; page < 5; page++) {
      const questions = taskListQuestions(cursor, names);
      assert.ok(questions !== undefined);
      const merged = JSON.parse(`{${
        mergedTaskList(questions.map((question) => {
          const request = asked("tasks/list", '{"cursor":"ours"}');
          const own = parseMessage(editJson(request.raw, taskListEdits(question)));
          const { server } = question;
          return {
            server,
            response: ask(server, (own as RequestMessage).params?.cursor as string | undefined),
          };
        }))
      }}`);
      for (const { taskId, n } of merged.tasks) {
        seen.get(ownerOfTask(taskId)!.server)!.push(n);
      }
      cursor = merged.nextCursor;
      if (cursor === undefined) break;
    }
    assert.equal(cursor, undefined);
    for (const [name, numbers] of seen) assert.deepEqual(numbers, lists.get(name)!.flat());
  }));
});

test("mergedTaskList() leaves out who did not answer and what the client may not see", () => {
  const answers = [
    { server: "a", response: response('{"tasks":[{"taskId":"1"},{"taskId":"2"},{"n":1}]}') },
    { server: "b", response: undefined },
    {
      server: "c",
      response: parseMessage(
        '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":""}}',
      ) as ResponseMessage,
    },
  ];
  assert.equal(
    mergedTaskList(answers, (server, taskId) => server === "a" && taskId === "2"),
    '"tasks":[{"taskId":"a.2"}]',
  );
});

test("taskListQuestions() refuses foreign cursors and forgets servers that have gone", () => {
  for (const cursor of ["", "x", 7, null, sealCursor("x"), sealCursor([["a", 1]])]) {
    assert.equal(taskListQuestions(cursor, ["a"]), undefined);
  }
  const cursor = sealCursor([["a", ""], ["gone", "1"]]);
  assert.deepEqual(taskListQuestions(cursor, ["a", "b"]), [{ server: "a", cursor: "" }]);
});

test("openCursor() undoes sealCursor() and nothing else", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.nat(), fc.string(), (value, place, other) => {
    const cursor = sealCursor(JSON.parse(JSON.stringify(value)));
    assert.match(cursor, /^[A-Za-z0-9_-]+$/);
    assert.deepEqual(openCursor(cursor), JSON.parse(JSON.stringify(value)));
    const at = place % cursor.length;
    const damaged = `${cursor.slice(0, at)}${cursor[at] === "A" ? "B" : "A"}${
      cursor.slice(at + 1)
    }`;
    assert.equal(openCursor(damaged), undefined);
    assert.equal(openCursor(cursor.slice(0, at)), undefined);
    assert.equal(openCursor(`${cursor}=`), undefined);
    assert.equal(openCursor(other), undefined);
  }));
});
