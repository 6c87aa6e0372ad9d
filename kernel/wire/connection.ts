import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Connection } from "./messages.js";

/** The fields of a connection that say where each socket is. */
export const portNames = ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"] as const;

/**
 * Reads a connection file.
 * @throws TypeError naming the field that is missing or wrong.
 */
export function readConnection(path: string): Connection {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  } catch (cause) {
    throw new TypeError(
      `the connection file ${path} cannot be read as JSON: Jupyter writes one when it starts a kernel`,
      { cause },
    );
  }
  const field = (name: string, expected: string, holds: boolean) => {
    if (!holds) throw new TypeError(`${path}: ${name} is ${JSON.stringify(value[name])}, expected ${expected}`);
  };
  const { transport = "tcp", ip = "127.0.0.1", key = "", signature_scheme = "hmac-sha256" } = value;
  field("transport", '"tcp" or "ipc"', transport === "tcp" || transport === "ipc");
  field("ip", "an address", typeof ip === "string");
  field("key", "a string", typeof key === "string");
  field("signature_scheme", 'a string like "hmac-sha256"', typeof signature_scheme === "string");
  for (const port of portNames)
    field(
      port,
      "a port number",
      Number.isInteger(value[port]) && Number(value[port]) > 0 && Number(value[port]) < 65_536,
    );
  return { ...value, transport, ip, key, signature_scheme } as Connection;
}

/** A new connection on free local ports with a fresh key. The ports were free a moment ago; nothing keeps them so. */
export async function newConnection(ip = "127.0.0.1"): Promise<Connection> {
  const servers = portNames.map(() => createServer());
  const numbers = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, ip, () => {
            const address = server.address();
            if (address !== null && typeof address === "object") resolve(address.port);
            else reject(new Error(`no port could be had on ${ip}`));
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const named = Object.fromEntries(portNames.map((port, index) => [port, numbers[index]])) as Pick<
    Connection,
    (typeof portNames)[number]
  >;
  return { transport: "tcp", ip, ...named, key: randomUUID(), signature_scheme: "hmac-sha256" };
}

/** Writes a connection file that only this user can read. */
export function writeConnection(path: string, connection: Connection): void {
  writeFileSync(path, `${JSON.stringify(connection, null, 2)}\n`, { mode: 0o600 });
}

/** The address of one of a connection's sockets, as zeromq writes it. */
export function address(connection: Connection, port: (typeof portNames)[number]): string {
  const { transport, ip } = connection;
  if (transport === "ipc") return `ipc://${ip}-${connection[port]}`;
  return `tcp://${ip.includes(":") && !ip.startsWith("[") ? `[${ip}]` : ip}:${connection[port]}`;
}
