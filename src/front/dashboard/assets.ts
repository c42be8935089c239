/** The files of the page, as text in the module graph: they are in the bundle and the binary, too. */

import preact from "preact" with { type: "text" };
import hooks from "preact/hooks" with { type: "text" };
import signalsCore from "@preact/signals-core" with { type: "text" };
import signals from "@preact/signals" with { type: "text" };
import htm from "htm" with { type: "text" };
import shell from "./web/index.html" with { type: "text" };
import styles from "./web/styles.css" with { type: "text" };
import icon from "./web/icon.svg" with { type: "text" };
import api from "./web/api.js" with { type: "text" };
import app from "./web/app.js" with { type: "text" };
import form from "./web/form.js" with { type: "text" };
import key from "./web/key.js" with { type: "text" };
import keys from "./web/keys.js" with { type: "text" };
import list from "./web/list.js" with { type: "text" };
import mcp from "./web/mcp.js" with { type: "text" };
import pageAlerts from "./web/page-alerts.js" with { type: "text" };
import pageCalls from "./web/page-calls.js" with { type: "text" };
import pageConfig from "./web/page-config.js" with { type: "text" };
import pageLog from "./web/page-log.js" with { type: "text" };
import pageOverview from "./web/page-overview.js" with { type: "text" };
import pageServers from "./web/page-servers.js" with { type: "text" };
import pageTools from "./web/page-tools.js" with { type: "text" };
import pageUsage from "./web/page-usage.js" with { type: "text" };
import parts from "./web/parts.js" with { type: "text" };
import schema from "./web/schema.js" with { type: "text" };
import sse from "./web/sse.js" with { type: "text" };
import state from "./web/state.js" with { type: "text" };
import stream from "./web/stream.js" with { type: "text" };
import tries from "./web/tries.js" with { type: "text" };

/** What is at `/`. */
export const SHELL: string = shell;

/** What is at `/ui/<name>`. A type says text, the runtimes give it. */
export const ASSETS: Readonly<Record<string, unknown>> = {
  "preact.js": preact,
  "preact-hooks.js": hooks,
  "signals-core.js": signalsCore,
  "signals.js": signals,
  "htm.js": htm,
  "styles.css": styles,
  "icon.svg": icon,
  "api.js": api,
  "app.js": app,
  "form.js": form,
  "key.js": key,
  "keys.js": keys,
  "list.js": list,
  "mcp.js": mcp,
  "page-alerts.js": pageAlerts,
  "page-calls.js": pageCalls,
  "page-config.js": pageConfig,
  "page-log.js": pageLog,
  "page-overview.js": pageOverview,
  "page-servers.js": pageServers,
  "page-tools.js": pageTools,
  "page-usage.js": pageUsage,
  "parts.js": parts,
  "schema.js": schema,
  "sse.js": sse,
  "state.js": state,
  "stream.js": stream,
  "tries.js": tries,
};
