/** IP addresses: in which block one is, and whom it belongs to. */

import process from "node:process";

/** Loaded when it is first needed. */
const net = () => process.getBuiltinModule("node:net");

/** How one of IPv4 is written as one of IPv6. */
const MAPPED = "::ffff:";
/** The same, and how tunnels and translators write it. */
const CLOTHES = [MAPPED, "::", "::ffff:0:", "64:ff9b::"];

/** The address as one of IPv6, without brackets and zone; undefined for what is none. */
function asV6(address: string): string | undefined {
  const [bare = ""] = address.replace(/^\[|\]$/g, "").split("%");
  const version = net().isIP(bare);
  return version === 0 ? undefined : version === 4 ? MAPPED + bare : bare;
}

/** Addresses, and blocks of them such as `10.0.0.0/8`. */
export class AddressBlocks {
  readonly #list = new (net().BlockList)();

  /** What is of IPv4 counts in each of the `forms`, which go before it. */
  constructor(blocks: readonly string[], forms: readonly string[] = [MAPPED]) {
    for (const block of blocks) {
      const [address = "", size] = block.split("/");
      if (address.includes(":")) this.#list.addSubnet(address, Number(size ?? 128), "ipv6");
      else {
        const bits = 96 + Number(size ?? 32);
        for (const form of forms) this.#list.addSubnet(form + address, bits, "ipv6");
      }
    }
  }

  /** Whether an address is among them, in whatever form. */
  has(address: string): boolean {
    const v6 = asV6(address);
    return v6 !== undefined && this.#list.check(v6, "ipv6");
  }
}

/** Where an address may be, the most private first; `nobody`'s are no machine's. */
export const ZONES = ["nobody", "link-local", "loopback", "private", "public"] as const;

/** Whom an address belongs to. */
export type Zone = typeof ZONES[number];

const BLOCKS: readonly (readonly [Zone, string])[] = [
  ["link-local", "169.254.0.0/16 fe80::/10"],
  ["loopback", "127.0.0.0/8 0.0.0.0/8"],
  ["private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 192.0.0.0/24 198.18.0.0/15"],
  ["private", "fc00::/7 fec0::/10 64:ff9b:1::/48"],
  // Tunnels (6to4, Teredo) are gone, and lead wherever who names them wants.
  ["nobody", "224.0.0.0/4 240.0.0.0/4 ff00::/8 2001::/32 2002::/16"],
];
let known: readonly (readonly [Zone, AddressBlocks])[] | undefined;

/** The zone of an IP address, `nobody` for what is none. */
export function zoneOf(address: string): Zone {
  if (asV6(address) === undefined) return "nobody";
  known ??= BLOCKS.map(([zone, blocks]) => [zone, new AddressBlocks(blocks.split(" "), CLOTHES)]);
  return known.find(([, blocks]) => blocks.has(address))?.[0] ?? "public";
}
