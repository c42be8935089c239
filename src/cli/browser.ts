import process from "node:process";
import { type Io, say } from "../app/io.ts";
import { messageOf } from "../lib/text.ts";

/** Opens an address where a person is likely to see it: not over SSH, nor where no screen is. */
export async function openInBrowser(address: string, { env, stderr }: Io): Promise<void> {
  const { DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME, SSH_CONNECTION } = env;
  const hasScreen = process.platform !== "linux" || DISPLAY || WAYLAND_DISPLAY || WSL_DISTRO_NAME;
  if (!hasScreen || SSH_CONNECTION) return;
  const { default: open } = await import("open");
  await open(address).catch((error) => say(stderr, `Cannot open a browser: ${messageOf(error)}\n`));
}
