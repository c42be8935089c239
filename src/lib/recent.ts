/**
 * Puts it last in a map that holds so many: the first, which was put longest ago, makes room, and is
 * returned.
 */
export function putLast<Value>(
  map: Map<string, Value>,
  key: string,
  value: Value,
  most: number,
): Value | undefined {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return undefined;
  const [first, gone] = map.entries().next().value!;
  map.delete(first);
  return gone;
}
