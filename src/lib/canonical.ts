/** One text for one meaning. */

/**
 * JSON with the keys of every object in one fixed order and no white space, so that equal values
 * give equal text whatever order they were written in. Members that are `undefined` are left out, as in `JSON.stringify`. Meant for plain data of bounded depth: a cycle or a bigint
 * throws a `TypeError`, a nesting of thousands a `RangeError`.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value, new Set())) ?? "null";
}

function sorted(value: unknown, ancestors: Set<object>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (ancestors.has(value)) throw new TypeError("Cannot write canonical JSON: value has a cycle");
  ancestors.add(value);
  try {
    if (Array.isArray(value)) return value.map((item) => sorted(item, ancestors));
    const source = value as Record<string, unknown>;
    // No prototype, or a key "__proto__" would set one instead of a member. Keys that look like
    // array indexes come first in any object, in numeric order: still one order for one set.
    const result: Record<string, unknown> = Object.create(null);
    for (const key of Object.keys(source).sort()) result[key] = sorted(source[key], ancestors);
    return result;
  } finally {
    ancestors.delete(value);
  }
}
