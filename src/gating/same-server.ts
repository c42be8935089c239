import type { ListedTool } from "./listed-tools.ts";

/**
 * Tools of the server that an unknown id was meant for, as far as the id shows that: by `server:…`, or
 * by the prefix that the exposed names of a server's tools have in common. In the order of the list.
 */
export function toolsOfSameServer(
  listed: ReadonlyMap<string, ListedTool>,
  id: string,
  most: number,
): readonly string[] {
  const found: string[] = [];
  for (const [exposed, { route }] of listed) {
    if (found.length === most) break;
    const prefix = exposed.endsWith(route.name) ? exposed.slice(0, -route.name.length) : "";
    const isMeant = id.startsWith(`${route.server}:`) || (prefix !== "" && id.startsWith(prefix));
    if (isMeant) found.push(exposed);
  }
  return found;
}
