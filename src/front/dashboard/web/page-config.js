// @ts-check
/// <reference lib="dom" />
/** Configuration: the text with issues in place, what a change would be, and saving it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { post, request, useData } from "./api.js";
import { Copy, Failed, Item, Items, Panel, Tabs, typed, view } from "./parts.js";

const LINE = 19;

/** The lines that went and came, between what both begin and end with. @param {string} before @param {string} after */
export function difference(before, after) {
  const [old, now] = [before.split("\n"), after.split("\n")];
  const most = Math.min(old.length, now.length);
  let [head, tail] = [0, 0];
  while (head < most && old[head] === now[head]) head++;
  while (tail < most - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++;
  /** @param {string[]} all @param {string} sign @param {string} name */
  const marked = (all, sign, name) =>
    all.slice(head, all.length - tail).map((text) => ({ class: name, text: `${sign} ${text}` }));
  const lines = [...marked(old, "-", "d bad"), ...marked(now, "+", "d ok")];
  return { from: head + 1, lines: lines.slice(0, 2_000) };
}

/** Both texts, as far as they differ. @param {{ before: string, after: string }} props */
function Difference({ before, after }) {
  const { from, lines } = difference(before, after);
  const rows = lines.map(({ text, ...style }) => view`<span ...${style}>${text}</span>`);
  if (rows.length === 0) return view`<p class="none">Nothing is changed.</p>`;
  return view`<pre tabindex="0" role="region"
      aria-label="Difference"><span class="d faint">from line ${from}</span>${rows}</pre>`;
}

/** @param {{ issue: any, jump: (line: number) => void }} props */
function Issue({ issue: { line, path, message, hint, severity }, jump }) {
  const level = severity === "warning" ? "warn" : "bad";
  const why = [[path].flat().join("."), hint].filter(Boolean).join(" · ");
  const to = line &&
    view`<button type="button" class="link" onClick=${() => jump(line)}>line ${line}</button>`;
  return view`<${Item} level=${level} title=${message} text=${why} end=${to} />`;
}

/** The text, with the numbers of its lines, and of those that are wrong. @param {{ text: string, issues: any[], area: any, onChange: (text: string) => void }} props */
function Editor({ text, issues, area, onChange }) {
  const lines = text.split("\n").map((_, at) => `${at + 1}\n`);
  const wrong = new Set(issues.slice(0, 100).map(({ line }) => line));
  let from = 0;
  // All those that are right are one text: to draw each by itself takes long.
  const numbers = [...wrong].filter(Boolean).sort((a, b) => a - b).flatMap((line) => {
    const before = lines.slice(from, line - 1).join("");
    from = line;
    return [before, view`<i class="bad">${lines[line - 1]}</i>`];
  });
  numbers.push(lines.slice(from).join(""));
  const style = { height: `${lines.length * LINE + 24}px` };
  const given = { spellcheck: false, wrap: "off", style, value: text, onInput: typed(onChange) };
  return view`<div class="editor"><pre aria-hidden="true">${numbers}</pre>
      <textarea ref=${area} class="mono" aria-label="Text" ...${given} /></div>`;
}

/** @param {{ told: any, reload: () => void }} props */
function Configuration({ told, reload }) {
  const { file, hash, edit, error, why, sources = [] } = told;
  // As a field gives it back; the gateway saves it with the ends of lines that the file has.
  const before = told.text.replaceAll("\r\n", "\n");
  const [text, setText] = useState(`${before}`);
  const [issues, setIssues] = useState(/** @type {any[]} */ (error?.issues ?? []));
  const [said, say] = useState(`${error?.message ?? ""}`);
  const [tab, choose] = useState("text");
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const isChanged = text !== before;
  const failed = (/** @type {any} */ { status, message, body }) => {
    setIssues(body?.issues ?? []);
    say(status === 409 ? "The file was changed meanwhile: load the page again." : message);
  };
  const check = () =>
    post("api/config/check", { text }, true).then((told) => setIssues(told.issues), failed);
  const save = () =>
    request("api/config", { method: "PUT", body: { text, hash } }).then(reload, failed);
  useEffect(() => {
    const timer = isChanged ? setTimeout(check, 500) : undefined;
    return () => clearTimeout(timer);
  }, [text]);
  const jump = async (/** @type {number} */ line) => {
    await choose("text");
    const from = text.split("\n").slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    area.current?.focus();
    area.current?.setSelectionRange(from, `${text}\n`.indexOf("\n", from));
    area.current?.parentElement?.scrollTo(0, (line - 5) * LINE);
  };
  const from = sources.length > 1 && `of ${sources.length} sources`;
  const acts = edit
    ? view`<button type="button" class="btn main" disabled=${!isChanged} onClick=${save}>Save</button>`
    : view`<span class="faint">${why}</span>`;
  const list = issues.map((issue) => view`<${Issue} issue=${issue} jump=${jump} />`);
  const body = tab === "text"
    ? view`<${Editor} text=${text} issues=${issues} area=${area} onChange=${setText} />`
    : view`<${Difference} before=${before} after=${text} />`;
  const tabs = { text: "Text", difference: "Difference" };
  const end = view`<span role="status">${said}</span><${Copy} text=${text}>Copy<//>${acts}`;
  return view`<${Panel} title=${file} note=${from} end=${end}>
    <${Items} label="Issues" of=${list} />
    <${Tabs} label="View" tabs=${tabs} value=${tab} onChange=${choose}>${body}<//><//>`;
}

export default function Page() {
  const { data, error, reload } = useData("api/config");
  const shown = data && view`<${Configuration} key=${data.hash} told=${data} reload=${reload} />`;
  return view`<${Failed} error=${error} />${shown}`;
}
