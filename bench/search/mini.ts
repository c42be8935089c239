/** MiniSearch with the same words, fields and weights: what a library makes of them. */

import MiniSearch from "minisearch";
import type { ToolDocument } from "../../src/gating/words/document.ts";
import { RANKING } from "../../src/gating/words/postings.ts";
import { terms } from "../../src/gating/words/words.ts";
import type { Search } from "./measures.ts";

/** Indexes the documents. */
export function miniSearch(documents: readonly ToolDocument[]): Search {
  const { weights } = RANKING;
  const index = new MiniSearch<Record<string, string>>({
    fields: ["name", "title", "description", "parameters", "server", "serverText"],
    tokenize: (text) => terms(text),
    processTerm: (term) => term,
    searchOptions: {
      boost: {
        name: weights.name,
        title: weights.title,
        description: weights.description,
        parameters: weights.parameters,
        server: weights.server,
        serverText: weights.serverText,
      },
    },
  });
  index.addAll(documents.map(({ id, name, text, server }) => ({
    id,
    name,
    title: text.title,
    description: text.description,
    parameters: text.parameters
      .map((one) => `${one.name} ${one.description} ${one.values.join(" ")}`).join(" "),
    server: server.name,
    serverText: `${server.title} ${server.description}`,
  })));
  return (query) => index.search(query).slice(0, 10).map(({ id }) => id as string);
}
