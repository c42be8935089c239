/**
 * What an upstream may ask of a client during a call: as a request of its own in the legacy era,
 * as an entry of `inputRequests` in the modern one (2026-07-28, multi round-trip requests). The
 * three methods and their parameters are the same in both.
 */

import { type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { ErrorCode, invalidParams, methodNotFound, RpcError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { RequestMessage, ResponseMessage } from "./message.ts";

/** Methods of requests to a client; the other direction's table is in `methods.ts`. */
export const INPUT_METHODS: ReadonlySet<string> = new Set([
  "sampling/createMessage",
  "elicitation/create",
  "roots/list",
]);

/** What the gateway declares to an upstream it shares: everything some client might answer. */
export const ANSWERABLE: JsonObject = {
  sampling: { tools: {}, context: {} },
  elicitation: { form: {}, url: {} },
  roots: { listChanged: true },
};

/** What of a client's capabilities concerns the upstream: what it can be asked, and extensions. */
const PASSED_ON: readonly string[] = [...Object.keys(ANSWERABLE), "extensions", "experimental"];

/** The part of a client's own capabilities that the gateway can pass on to an upstream. */
export function answerable(capabilities: JsonObject): JsonObject {
  const known = PASSED_ON.filter((key) => isObject(capabilities[key]));
  return Object.fromEntries(known.map((key) => [key, capabilities[key]!]));
}

/**
 * Why the client of this call must not be asked, or `undefined`. A server must not ask for what was
 * not declared, and the gateway declared more on a shared connection than this client can do.
 */
export function cannotAnswer(
  { client, request }: Pick<Exchange, "client" | "request">,
  method: string,
  params: JsonObject | undefined,
): RpcError | undefined {
  if (!INPUT_METHODS.has(method)) return methodNotFound(method);
  const code = client.era === "legacy" ? ErrorCode.MethodNotFound : undefined;
  return missing(lackingCapability(client.capabilities, method, params), request, code);
}

/** What a client would have to declare to be asked this, or `undefined` when it does. */
export function lackingCapability(
  capabilities: JsonObject,
  method: string,
  params: JsonObject | undefined,
): JsonObject | undefined {
  switch (method) {
    case "sampling/createMessage":
      return isObject(capabilities.sampling) ? undefined : { sampling: {} };
    case "roots/list":
      return isObject(capabilities.roots) ? undefined : { roots: {} };
    default: {
      const { elicitation } = capabilities;
      const mode = params?.mode === "url" ? "url" : "form";
      if (!isObject(elicitation)) return { elicitation: mode === "url" ? { url: {} } : {} };
      // An empty object is the capability of 2025-06-18, which had forms only.
      const declared = isObject(elicitation[mode]) ||
        (mode === "form" && !isObject(elicitation.url));
      return declared ? undefined : { elicitation: { [mode]: {} } };
    }
  }
}

/** One text wherever something is noticed to be missing, with the name that the client knows. */
function missing(
  lacking: JsonObject = {},
  { method, params }: RequestMessage,
  code: number = ErrorCode.MissingClientCapability,
  doubt = "",
): RpcError | undefined {
  const words = Object.entries(lacking).map(([name, detail]) => {
    const [mode] = Object.keys(detail ?? {});
    return mode === undefined ? name : `${name} (${mode})`;
  });
  if (words.length === 0) return undefined;
  const called = params?.name ?? params?.uri ?? method;
  const why = `"${called}" needs a client that supports ${words.join(" or ")}${doubt}`;
  return new RpcError(code, why, { requiredCapabilities: lacking });
}

/**
 * Why a request has failed where it has for what its server was not `declared`, or `undefined`:
 * servers keep tools from who cannot answer their questions, and then know of none by that name,
 * which the client has from the list of all.
 */
export function lackBehind(
  { raw, error, result }: ResponseMessage,
  request: RequestMessage,
  edits: readonly JsonEdit[],
  declared: JsonObject,
): RpcError | undefined {
  if (error === undefined && result?.isError !== true) return undefined;
  const own = calledName(request, edits);
  const { requiredCapabilities: named } = isObject(error?.data) ? error.data : {};
  // Its own words will do where its name is the client's.
  if (isObject(named) && own !== request.params?.name) return missing(named, request);
  if (raw.length > 500 || !noSuch(own).test(raw)) return undefined;
  const lacking = (mode: string) =>
    [...INPUT_METHODS].map((method) => lackingCapability(declared, method, { mode }));
  const all = Object.assign({}, ...lacking("url"), ...lacking("form"));
  // It may be gone for another reason, which nobody can know.
  return missing(all, request, undefined, ", it seems: its server knows none by that name");
}

/** How the SDKs say it: `Tool x not found`, `Unknown tool: x`, and with quotes. */
function noSuch(name: string): RegExp {
  const own = name.replace(/\W/g, "\\$&");
  const unknown = String.raw`\bunknown (tool|prompt)\W{1,4}${own}(?![\w-])`;
  return new RegExp(String.raw`${unknown}|\b(tool|prompt)\W{1,4}${own}\W{1,4}not found\b`, "i");
}

/** What a request calls, or completes, by the name its server has been told by `edits`. */
export function calledName(
  { method, params }: RequestMessage,
  edits: readonly JsonEdit[],
): string {
  const isCompletion = method === "completion/complete";
  const place = isCompletion ? "params,ref,name" : "params,name";
  const renamed = edits.findLast(({ path }) => path.join() === place)?.value;
  const named = isCompletion && isObject(params?.ref) ? params.ref : params;
  return String(renamed === undefined ? named?.name : JSON.parse(renamed));
}

/** One entry of `inputRequests`, its parameters as text. */
export interface InputRequest {
  readonly key: string;
  readonly method: string;
  readonly params: JsonObject | undefined;
  readonly paramsText: string | undefined;
}

/** An `input_required` result, taken apart. */
export interface InputRequired {
  readonly requests: readonly InputRequest[];
  /** `requestState` as JSON text; to be given back exactly. */
  readonly stateText: string | undefined;
}

/** Reads a result that asks for input; `undefined` for any other result. */
export function readInputRequired(
  raw: string,
  result: JsonObject | undefined,
): InputRequired | undefined {
  if (result?.resultType !== "input_required") return undefined;
  const { inputRequests } = result;
  const entries = isObject(inputRequests) ? Object.entries(inputRequests) : [];
  return {
    requests: entries.flatMap(([key, entry]) => {
      if (!isObject(entry) || typeof entry.method !== "string") return [];
      return [{
        key,
        method: entry.method,
        params: isObject(entry.params) ? entry.params : undefined,
        paramsText: rawAt(raw, ["result", "inputRequests", key, "params"]),
      }];
    }),
    stateText: rawAt(raw, ["result", "requestState"]),
  };
}

/** For a request that claims to be the retry of a call, and is not, or comes too late. */
export function badState(why: string): RpcError {
  return invalidParams(`requestState cannot be resumed (${why}); send the call again without it`);
}
