import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test } from "node:test";
import { bodyOf } from "./body.ts";

test("a client that goes before its request is whole is no failure of a fake server", async () => {
  const bodies: Promise<string | undefined>[] = [];
  let arrived = () => {};
  const seen = new Promise<void>((resolve) => arrived = resolve);
  const server = createServer((request) => {
    bodies.push(bodyOf(request));
    arrived();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  await seen;
  socket.destroy();
  assert.deepEqual(await Promise.all(bodies), [undefined]);
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
