// The exact texts of the items a fake lists. Tests build the same texts to compare with: odd
// spacing, unknown members and numbers beyond a double must arrive character for character.

/** @typedef {"tools" | "prompts" | "resources" | "templates"} Kind */

/**
 * The JSON text of one listed item.
 * @param {Kind} kind
 * @param {string} key its name, URI or URI template
 * @param {{ readonly badRef?: boolean | undefined, readonly readOnly?: boolean | undefined }} [options]
 * @returns {string}
 */
export function itemText(kind, key, { badRef = false, readOnly = false } = {}) {
  const name = JSON.stringify(key);
  const vendor =
    '"x-vendor": {"b":1, "a":[1.0,1e400,12345678901234567890], "2":"two","1":"one"}, ' +
    '"_meta":{"vendor.example/tag":"\\u00e9\\/"}';
  switch (kind) {
    case "tools": {
      const output = badRef
        ? ', "outputSchema":{"type":"object","properties":{"x":{"$ref":"#/$defs/nowhere"}}}'
        : "";
      const hint = readOnly ? ', "annotations":{"readOnlyHint":true}' : "";
      return `{ "name" : ${name}, "description":"Does ${key}", "inputSchema": {"type":"object",` +
        `"properties":{"n":{"type":"number","maximum":12345678901234567890}}}${output}${hint}, ${vendor} }`;
    }
    case "prompts":
      return `{"name":${name},"arguments":[{"name":"who","required":false,"x-arg":1}], ${vendor} }`;
    case "resources":
      return `{"uri":${name},"name":"resource ${key}","mimeType":"text/plain", ${vendor} }`;
    case "templates":
      return `{"uriTemplate":${name},"name":"template ${key}", ${vendor} }`;
  }
}

/**
 * The keys of a kind: generated for a count, completed for names.
 * @param {Kind} kind
 * @param {string} server
 * @param {number | readonly string[]} wanted
 * @returns {string[]}
 */
export function itemKeys(kind, server, wanted) {
  const names = typeof wanted === "number"
    ? Array.from({ length: wanted }, (_, i) => `${kind.slice(0, -1)}_${String(i).padStart(4, "0")}`)
    : [...wanted];
  if (kind === "tools" || kind === "prompts") return names;
  const tail = kind === "templates" ? "/{id}" : "";
  return names.map((name) => name.includes("://") ? name : `fake://${server}/${name}${tail}`);
}
