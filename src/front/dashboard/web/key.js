// @ts-check
/// <reference lib="dom" />
/** What the page says where the gateway asks for a key: instead of all, or before a change. */

import { useState } from "preact/hooks";
import { setKey } from "./api.js";
import { Dialog } from "./keys.js";
import { typed, view } from "./parts.js";
import { barred, generation, keyAsked } from "./state.js";

/** @param {{act: string}} props */
function KeyForm({ act }) {
  const [key, change] = useState("");
  const open = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (key.trim() !== "") setKey(key.trim());
  };
  return view`<p><code>mcproxy ui</code> on the machine of the gateway opens this page with one.</p>
    <form class="f" onSubmit=${open}><label for="key">Key</label>
    <input id="key" type="password" autocomplete="off" value=${key} onInput=${typed(change)} />
    <button class="btn main">${act}</button></form>`;
}

/** Stands instead of a page, where nothing is shown. */
export function Barred() {
  const { kind, text } = /** @type {{kind: string, text: string}} */ (barred.value);
  const again = () => {
    barred.value = undefined;
    generation.value++;
  };
  const isClosed = kind === "closed";
  const body = isClosed
    ? view`<p>${text}</p><button type="button" class="btn" onClick=${again}>Try again</button>`
    : view`<${KeyForm} act="Open" />`;
  return view`<section class="barred"><h2>${
    isClosed ? "Not shown here" : text
  }</h2>${body}</section>`;
}

/** Stands before a page while a change waits for a key. */
export function KeyAsked() {
  if (keyAsked.value === undefined) return undefined;
  const { isOld, tell } = keyAsked.value;
  const text = isOld ? "The key does not count any more." : "To change something takes a key.";
  return view`<${Dialog} label="Key" class="keys barred" onClose=${() => tell(false)}>
    <h2>${text}</h2><${KeyForm} act="Go on" /><//>`;
}
