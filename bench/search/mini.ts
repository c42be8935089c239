/** MiniSearch with the same words, fields and weights: what a library makes of them. */

import MiniSearch from "minisearch";
import type { ToolDocument } from "../../src/gating/words/document.ts";
import { RANKING } from "../../src/gating/words/postings.ts";
import { terms } from "../../src/gating/words/words.ts";
import type { Search } from "./measures.ts";

/** Indexes the documents. */
export function miniSearch(documents: readonly ToolDocument[]): Search {
  const { fields } = RANKING;
  const index = new MiniSearch<Record<string, string>>({
    fields: ["name", "title", "description", "parameters", "values", "server", "serverText"],
    tokenize: (text) => terms(text),
    processTerm: (term) => term,
    searchOptions: {
      boost: {
        name: fields.name.weight,
        title: fields.title.weight,
        description: fields.description.weight,
        parameters: fields.parameterTexts.weight,
        values: fields.values.weight,
        server: fields.server.weight,
        serverText: fields.serverText.weight,
      },
    },
  });
  index.addAll(documents.map(({ id, name, text, server }) => ({
    id,
    name,
    title: text.title,
    description: text.description,
    parameters: text.parameters.map((one) => `${one.name} ${one.description}`).join(" "),
    values: text.parameters.flatMap((one) => one.values).join(" "),
    server: server.name,
    serverText: `${server.title} ${server.description}`,
  })));
  return (query) => index.search(query).slice(0, 10).map(({ id }) => id as string);
}
