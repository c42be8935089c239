/** The version of this program: on the wire as `clientInfo`/`serverInfo`, in `version` and status. */
export const VERSION = "0.1.0";
