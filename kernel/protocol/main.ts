import type { DebugAdapter } from "../debug/debugAdapter.js";
import { createSession } from "../session/session.js";
import { Codec } from "../wire/codec.js";
import { readConnection } from "../wire/connection.js";
import { historyFolder, openHistory } from "./history.js";
import { Kernel } from "./kernel.js";
import { LanguageHost } from "./languageHost.js";

/**
 * Runs a kernel for a connection file until it is told to end, or until the process that started it ends.
 * The user process starts first and comes up while the sockets are loaded and bound.
 * @throws TypeError when the file is no connection file; Error when a port is taken.
 */
export async function runKernel(connectionFile: string): Promise<void> {
  const connection = readConnection(connectionFile);
  const codec = new Codec(connection.key, connection.signature_scheme);
  const log = (line: string) => process.stderr.write(`[policyscope] ${line}\n`);
  let closeSockets = async () => {};
  let adapter: DebugAdapter | undefined;
  const language = new LanguageHost(
    () => session,
    (text, parent) => kernel.say(text, parent),
    log,
  );
  const kernel = new Kernel({
    connection,
    history: openHistory(historyFolder(), log),
    language,
    debugAdapter: async () => {
      const { DebugAdapter } = await import("../debug/debugAdapter.js");
      adapter = new DebugAdapter(session);
      return adapter;
    },
    onSessionLost: () => {
      language.reset();
      void adapter?.sessionLost();
    },
    exit: async () => {
      setTimeout(() => process.exit(0), 2_000);
      await closeSockets();
      // The addon's thread still carries what was sent to the network.
      setTimeout(() => process.exit(0), 30);
    },
    log,
  });
  const session = createSession({ events: kernel });

  // Whoever started us may have closed its end of our output; there is nobody to tell then.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  process.on("SIGINT", () => void kernel.interrupt());
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => void kernel.leave());
  process.on("uncaughtException", (error) => log(`internal error, the kernel goes on: ${error.stack}`));
  process.on("unhandledRejection", (error) =>
    log(`internal error, the kernel goes on: ${(error as Error)?.stack ?? error}`),
  );
  leaveWithParent(() => void kernel.leave());

  try {
    const { KernelSockets } = await import("../wire/sockets.js");
    const sockets = await KernelSockets.bind(connection, codec, kernel);
    closeSockets = () => sockets.close();
    kernel.start(sockets, session);
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

/** A kernel whose front end was killed has nobody left to talk to. */
function leaveWithParent(leave: () => void): void {
  const parent = process.ppid;
  const told = Number(process.env.JPY_PARENT_PID ?? 0);
  if (parent <= 1 && told <= 1) return;
  const gone = () => {
    // Killed before we looked: Jupyter's own word for its process id is the only trace of it.
    if (process.platform !== "win32") return process.ppid !== parent || (parent <= 1 && told > 1);
    try {
      process.kill(parent, 0);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ESRCH";
    }
  };
  const watch = setInterval(() => {
    if (!gone()) return;
    clearInterval(watch);
    leave();
  }, 1_000);
  watch.unref();
}
