// @ts-check
/// <reference lib="dom" />
/** A form from a JSON Schema. What it holds is the value; a field that is not touched is not in it. */

import { useId, useState } from "preact/hooks";
import { typed, view } from "./parts.js";
import { become, blank, fieldOf, isObject, isSecret, numberOf, numberText } from "./schema.js";
import { othersOf, parsed, same, set, show, variantOf } from "./schema.js";

/** @typedef {import("./schema.js").Path} Path */
/** @typedef {{ root: any, faults: readonly import("./schema.js").Fault[], onSet: (path: Path, value: any) => void }} FormOf the whole form a field is in */
/** @typedef {{ form: FormOf, schema: any, value: any, path: Path, depth: number, name: string, required: boolean }} Place */
/** @typedef {Place & { field: import("./schema.js").Field, set: (value: any) => void, attributes: any }} Control */

/** Below it, schemas that hold themselves are opened by hand, and then it is JSON. */
const OPEN_BELOW = 2;
const DEEPEST = 12;
/** Members of an object that is open from the start. */
const MOST_OPEN = 20;
const LONGEST_TEXT = 2_000;

/** @param {string} text @param {() => void} onClick @param {string} [label] */
const link = (text, onClick, label) =>
  view`<button type="button" class="link" aria-label=${label} onClick=${onClick}>${text}</button>`;

/** What is wrong, below what it is about. @param {{ faults: readonly { message: string }[] }} props */
export const Wrong = ({ faults }) =>
  faults.map(({ message }) => view`<div class="hint bad">${message}</div>`);

/** What a person writes where no other field fits: JSON, or else it is a text. @param {string} text */
function written(text) {
  if (text.trim() === "") return undefined;
  const value = parsed(text);
  return value === undefined ? text : value;
}

/** @param {any} value */
function unwritten(value) {
  const isText = typeof value === "string" && written(value) === value;
  return isText ? value : show(value);
}

/** JSON of a part of the value. @param {{ value: any, set: (value: any) => void, attributes: object }} props */
function AnyField({ value, set, attributes }) {
  const [text, keep] = useState(() => unwritten(value));
  // As it is typed, until the value is another one.
  const shown = same(written(text), value) ? text : unwritten(value);
  const take = typed((next) => (keep(next), set(written(next))));
  const isText = typeof value === "string" && written(value) === value;
  return view`<textarea class="mono" rows="2" spellcheck="false" placeholder="JSON" ...${attributes}
      value=${shown} onInput=${take} />${isText && view`<div class="hint">no JSON: a text</div>`}`;
}

/** @param {Control} props */
function TextField({ field: { schema }, value, set, attributes }) {
  const take = typed((text) => set(text === "" ? undefined : text));
  const given = { ...attributes, value: value ?? "", onInput: take };
  const isDay = schema.format === "date" && /^(\d{4}-\d\d-\d\d)?$/.test(value ?? "");
  const type = isSecret(schema) ? "password" : isDay ? "date" : undefined;
  if (type) return view`<input type=${type} autocomplete="off" ...${given} />`;
  // Of one line, until somebody pastes more, or wants to.
  const onKeyDown = (/** @type {KeyboardEvent} */ event) =>
    event.key === "Enter" && !event.shiftKey && !value?.includes("\n") && event.preventDefault();
  return view`<textarea rows="1" spellcheck="false" title="Shift ↵ begins a new line" ...${given}
      onKeyDown=${onKeyDown} />`;
}

/** @param {Control} props */
function NumberField({ value, set, attributes }) {
  const take = typed((text) => set(text === "" ? undefined : numberOf(text)));
  const shown = numberText(value);
  return view`<input inputmode="decimal" autocomplete="off" ...${attributes} value=${shown}
      onInput=${take} />`;
}

/** @param {Control} props */
function BooleanField({ field: { schema }, value, set, attributes }) {
  const isOn = value ?? schema.default === true;
  const said = value === undefined ? "left out unless touched" : String(value);
  const turn = () => set(!isOn);
  return view`<div class="sw"><input type="checkbox" ...${attributes} checked=${isOn} onChange=${turn} />
    <span class="faint">${said}</span></div>`;
}

/** @param {Control} props */
function ChoiceField({ field: { options = [] }, value, set, attributes }) {
  const at = options.findIndex((one) => same(one.value, value));
  const all = options.map(({ label }, index) => view`<option value=${index}>${label}</option>`);
  const none = attributes.placeholder ? `left out (${attributes.placeholder})` : "left out";
  const take = typed((index) => set(options[+index]?.value));
  return view`<select ...${attributes} value=${at} onChange=${take}>
    <option value="-1">${none}</option>${all}</select>`;
}

/** @param {Control} props */
function ObjectField({ form, field, value, path, depth, required, set }) {
  const { members = [], open } = field;
  const isNear = depth < OPEN_BELOW && members.length <= MOST_OPEN;
  const isRoot = path.length === 0;
  const [isOpen, setOpen] = useState(isRoot || (required && isNear));
  if (!isOpen && value === undefined) {
    const names = members.slice(0, 4).map(({ key }) => key).join(", ").slice(0, 60);
    const more = () => setOpen(true);
    return view`<button type="button" class="btn" onClick=${more}>+ ${names}</button>`;
  }
  const others = Object.fromEntries(othersOf(field, value));
  const setOthers = (/** @type {any} */ next = {}) => {
    const known = Object.entries(value ?? {}).filter(([key]) => !Object.hasOwn(others, key));
    const all = [...known, ...Object.entries(isObject(next) ? next : {})];
    set(all.length === 0 ? undefined : Object.fromEntries(all));
  };
  const fields = members.map(({ key, ...member }) => {
    const part = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    const at = { form, value: part, path: [...path, key], depth: depth + 1 };
    return view`<${Field} key=${key} name=${key || "(no name)"} ...${member} ...${at} />`;
  });
  const rest = Object.keys(others).length > 0 ? others : undefined;
  const label = { "aria-label": "other members" };
  const more = (open || rest) &&
    view`<div class="f"><div class="fl">other members <small>an object</small></div>
      <${AnyField} value=${rest} set=${setOthers} attributes=${label} /></div>`;
  const empty = required && !isRoot && value === undefined && link("send it empty", () => set({}));
  return view`<div class=${isRoot ? "members" : "members sub"}>${fields}${more}${empty}</div>`;
}

/** @param {Control} props */
function ListField({ form, field: { schema }, value = [], path, depth, set }) {
  const items = value.map((/** @type {any} */ item, /** @type {number} */ at) => {
    const place = { form, name: `${at + 1}`, value: item, path: [...path, at], depth: depth + 1 };
    return view`<${Field} key=${at} schema=${schema.items} required=${false} ...${place} />`;
  });
  const add = () => set([...value, blank(schema.items, form.root)]);
  return view`<div class="members sub">${items}
    <button type="button" class="btn" onClick=${add}>+ add</button></div>`;
}

/** @param {Control} props */
function VariantsField(props) {
  const { form: { root }, field: { variants = [] }, name, value, set, depth } = props;
  const [at, choose] = useState(() => variantOf(variants, value, root));
  const variant = variants[at]?.value;
  const turn = typed((index) => {
    choose(+index);
    set(become(variants[+index]?.value, value, root));
  });
  const inner = { ...props, schema: variant, required: true, depth: depth + 1 };
  const ways = variants.map(({ label }, index) => view`<option value=${index}>${label}</option>`);
  return view`<div class="members"><div class="f">
      <select aria-label=${`Variant of ${name}`} value=${at} onChange=${turn}>${ways}</select></div>
    <${Body} key=${at} ...${inner} /></div>`;
}

const KINDS = {
  text: TextField,
  number: NumberField,
  boolean: BooleanField,
  choice: ChoiceField,
  null: () => view`<code>null</code>`,
  object: ObjectField,
  list: ListField,
  variants: VariantsField,
  json: AnyField,
};

/** What is between label and hints. @param {Place & { attributes?: object }} props */
function Body(props) {
  const { form, schema, value, path, depth, attributes = {} } = props;
  const field = fieldOf(schema, value, form.root);
  const preset = field.schema.default;
  const placeholder = typeof preset === "string" ? preset : show(preset, 0);
  const set = (/** @type {any} */ next) => form.onSet(path, next);
  const given = { ...attributes, ...(placeholder && { placeholder }) };
  const kind = depth > DEEPEST ? "json" : field.kind;
  return view`<${KINDS[kind]} ...${props} field=${field} set=${set} attributes=${given} />`;
}

/** One field with all below it. @param {Place} props */
function Field(props) {
  const { form, name, schema, value, path, required } = props;
  const id = useId();
  const { kind, nullable, hint, schema: found } = fieldOf(schema, value, form.root);
  const { title, description } = found;
  const set = (/** @type {any} */ next) => form.onSet(path, next);
  const wrong = form.faults.filter((fault) => same(fault.path, path));
  const isGroup = ["object", "list", "variants"].includes(kind);
  const isSaid = typeof title === "string" && title.toLowerCase() !== name.toLowerCase();
  const about = [isSaid && title.slice(0, 80), hint].filter(Boolean).join(" · ");
  const invalid = wrong.length > 0 || undefined;
  const attributes = { id, "aria-invalid": invalid, "aria-describedby": `${id}-hint` };
  const out = typeof path.at(-1) === "number" ? "remove" : "leave out";
  const say = view`<b>${required && "required"}</b> <small>${about}</small>`;
  const unset = value !== undefined && link(out, () => set(undefined), `${out} ${name}`);
  const toNull = nullable && kind !== "null" &&
    link("null", () => set(null), `Set ${name} to null`);
  const text = typeof description === "string" ? description.slice(0, LONGEST_TEXT) : "";
  const group = isGroup && { role: "group", "aria-label": name };
  return view`<div class="f" ...${group}>
      <div class="fl"><label for=${id}>${name} ${say}</label>${toNull}${unset}</div>
      <${Body} ...${props} attributes=${attributes} /><div id=${`${id}-hint`}>
        <${Wrong} faults=${wrong} /><div class="hint">${text}</div></div></div>`;
}

/** The fields of a schema. @param {{ schema: any, value: any, faults: FormOf["faults"], onChange: (value: any) => void }} props */
export function Form({ schema, value, faults, onChange }) {
  const onSet = (/** @type {Path} */ path, /** @type {any} */ next) =>
    onChange(set(value, path, next));
  const form = { root: schema, faults, onSet };
  const place = { form, schema, value, path: [], depth: 0, name: "the arguments", required: true };
  const whole = faults.filter(({ path }) => path.length === 0);
  const { properties = {}, additionalProperties: more = schema?.properties === undefined } =
    schema ?? {};
  if (value === undefined && !more && Object.keys(properties).length === 0) {
    return view`<p>It takes no arguments.</p>`;
  }
  return view`<${Body} ...${place} attributes=${{ "aria-label": "Arguments" }} />
    <${Wrong} faults=${whole} />`;
}
