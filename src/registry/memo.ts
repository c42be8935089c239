/**
 * What was read from an object that never changes, read once: remembered as long as the object is.
 * `read` must depend on the key alone.
 */
export function memoised<K extends object, V>(memo: WeakMap<K, V>, key: K, read: () => V): V {
  const known = memo.get(key);
  if (known !== undefined) return known;
  const value = read();
  memo.set(key, value);
  return value;
}
