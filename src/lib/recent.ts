/** Puts it last in a map that holds so many: the first, which was put longest ago, makes room. */
export function putLast<Value>(
  map: Map<string, Value>,
  key: string,
  value: Value,
  most: number,
): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value!);
}
