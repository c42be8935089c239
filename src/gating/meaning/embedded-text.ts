/** What an embedding model gets to see of tools and queries, and nothing else. */

import { shortHash } from "../../lib/hash.ts";
import { memoised } from "../../registry/memo.ts";
import { summary } from "../summary.ts";
import type { ToolDocument, ToolText } from "../words/document.ts";

/** The text of one tool, and the key its vector is kept under. */
export interface EmbeddedText {
  readonly text: string;
  readonly key: string;
}

/** Characters of a key. */
export const KEY_LENGTH = 26;

/** Characters: models read a few hundred words at most, and what a tool does is said first. */
const LONGEST_TEXT = 500;
const LONGEST_QUERY = 2_000;

// By document for searches, which look at all of them; by text for the documents of the next snapshot.
const byDocument = new WeakMap<ToolDocument, EmbeddedText>();
const byText = new WeakMap<ToolText, EmbeddedText>();

/** What stands for a tool: its name, what its description says first, its server. */
export function embeddedText(document: ToolDocument): EmbeddedText {
  return memoised(byDocument, document, () => {
    const text = textOf(document);
    const known = byText.get(document.text);
    if (known?.text === text) return known;
    const embedded = { text, key: shortHash(text, KEY_LENGTH) };
    byText.set(document.text, embedded);
    return embedded;
  });
}

function textOf({ name, text, server }: ToolDocument): string {
  const sentence = summary(text.description) || text.title;
  return [name, sentence.replace(/[.!?。]$/u, ""), server.title || server.name]
    .filter((part) => part !== "").join(". ").slice(0, LONGEST_TEXT).toWellFormed();
}

/** What is sent of a query; empty where there is nothing to send. */
export function embeddedQuery(query: string): string {
  return query.slice(0, LONGEST_QUERY).toWellFormed().trim();
}
