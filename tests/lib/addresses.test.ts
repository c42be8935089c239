/** Whose an IP address is, and in which block, however it is written. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressBlocks, zoneOf } from "../../src/lib/addresses.ts";

test("zoneOf() knows whose an address is, in whatever clothes it comes", () => {
  const zones = {
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254"],
    loopback: ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "[::1]", "::ffff:127.0.0.1"],
    private: ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00:ec2::254", "fec0::1"],
    public: ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::8.8.8.8"],
    nobody: [
      "224.0.0.1",
      "255.255.255.255",
      "ff02::1",
      "2001::1",
      "2002:7f00:1::",
      "a.example",
      "",
    ],
  };
  for (const [zone, addresses] of Object.entries(zones)) {
    for (const address of addresses) assert.equal(zoneOf(address), zone, address);
  }
  const inner = ["::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1", "::ffff:0:7f00:1"];
  for (const address of inner) assert.equal(zoneOf(address), "loopback", address);
  assert.equal(zoneOf("::ffff:0:10.0.0.1"), "private");
});

test("AddressBlocks have what is in them, mapped or not, and nothing that only looks like it", () => {
  const blocks = new AddressBlocks(["10.0.0.0/8", "192.0.2.1", "fd00::/8", "2001:db8::1"]);
  const inside = "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3 192.0.2.1 fd12::1 [fd12::1] 2001:db8::1";
  for (const address of [...inside.split(" "), "fd00::1%eth0", "::ffff:a01:203"]) {
    assert.ok(blocks.has(address), address);
  }
  const outside =
    "11.0.0.0 192.0.2.2 fe00::1 2001:db8::2 ::10.1.2.3 64:ff9b::10.1.2.3 10.0.0 nonsense";
  for (const address of [...outside.split(" "), "", "::ffff:11.0.0.1"]) {
    assert.ok(!blocks.has(address), address);
  }
});
