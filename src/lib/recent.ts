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
  const [first, gone] = map.size > most ? map.entries().next().value! : [];
  if (first !== undefined) map.delete(first);
  return gone;
}
