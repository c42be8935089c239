/** The `Authorization` header that `auth` stands for. */

/** `auth` as the schema leaves it. */
export interface Auth {
  readonly type: "bearer" | "basic";
  readonly token?: string | undefined;
  readonly credentials?: string | undefined;
}

/** The value of the header. */
export function authorizationOf({ type, token = "", credentials = "" }: Auth): string {
  return type === "bearer"
    ? `Bearer ${token}`
    : `Basic ${basicCredentials(credentials) ?? credentials}`;
}

/** Credentials as they are sent: `user:password` encoded, or what is encoded already. */
export function basicCredentials(text: string): string | undefined {
  if (text.includes(":")) return encode(text);
  try {
    return atob(text).includes(":") ? text : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 7617, section 2.1: UTF-8, then Base64. */
function encode(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
