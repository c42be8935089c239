import process from "node:process";
import type { DatagramSocket } from "../runtime/types.ts";

/**
 * Opens a UDP socket towards a syslog server (RFC 5426). The name is looked up once for each
 * socket, not for each message. Rejects when the name is unknown.
 */
export async function openUdp(host: string, port: number): Promise<DatagramSocket> {
  const { address, family } = await process.getBuiltinModule("node:dns/promises").lookup(host);
  const socket = process.getBuiltinModule("node:dgram").createSocket(
    family === 6 ? "udp6" : "udp4",
  );
  // "Connection refused" by an earlier datagram arrives here, unasked: UDP promises nothing.
  socket.on("error", () => {});
  socket.unref();
  return {
    send(data) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      socket.send(data, port, address, (error) => error ? reject(error) : resolve());
      return promise;
    },
    close() {
      try {
        socket.close();
      } catch {
        // Closed before.
      }
    },
  };
}
