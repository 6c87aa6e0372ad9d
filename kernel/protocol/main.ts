import type { DebugAdapter } from "../debug/debugAdapter.js";
import { createSession } from "../session/session.js";
import { readConnection } from "../wire/connection.js";
import type { Header } from "../wire/messages.js";
import type { Kernel } from "./kernel.js";

/**
 * Runs a kernel for a connection file until it is told to end, or until the process that started it ends.
 * The user process starts first, and comes up while this one loads its own parts and binds the sockets.
 * @throws TypeError when the file is no connection file; Error when a port is taken.
 */
export async function runKernel(connectionFile: string): Promise<void> {
  const connection = readConnection(connectionFile);
  let kernel: Kernel | undefined;
  const started = (): Kernel => {
    if (!kernel) throw new Error("the session speaks before anything was asked of it");
    return kernel;
  };
  const session = createSession<Header>({
    events: {
      publish: (message) => started().publish(message),
      input: (request) => started().input(request),
      help: (expression, detailLevel) => started().help(expression, detailLevel),
      exit: (exit) => kernel?.exit(exit),
      diagnosticsMode: (mode) => started().diagnosticsMode(mode),
    },
  });
  const [{ Kernel }, { LanguageHost }, { historyFolder, openHistory }, { Codec }, { KernelSockets }] =
    await Promise.all([
      import("./kernel.js"),
      import("./languageHost.js"),
      import("./history.js"),
      import("../wire/codec.js"),
      import("../wire/sockets.js"),
    ]);

  const log = (line: string) => process.stderr.write(`[policyscope] ${line}\n`);
  let closeSockets = async () => {};
  let adapter: DebugAdapter | undefined;
  const language = new LanguageHost(session, (text, parent) => started().say(text, parent), log);
  kernel = new Kernel({
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
  untilToldToEnd(kernel, log);
  try {
    const codec = new Codec(connection.key, connection.signature_scheme);
    const sockets = await KernelSockets.bind(connection, codec, kernel);
    closeSockets = () => sockets.close();
    kernel.start(sockets, session);
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

/** Signals, the end of our parent, and errors of our own, which the session shall outlive. */
function untilToldToEnd(kernel: Kernel, log: (line: string) => void): void {
  // Whoever started us may have closed its end of our output; there is nobody to tell then.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  process.on("SIGINT", () => void kernel.interrupt());
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => void kernel.leave());
  process.on("uncaughtException", (error) => log(`internal error, the kernel goes on: ${error.stack}`));
  process.on("unhandledRejection", (error) =>
    log(`internal error, the kernel goes on: ${(error as Error)?.stack ?? error}`),
  );
  leaveWithParent(() => void kernel.leave());
}

/**
 * A kernel whose front end was killed has nobody left to talk to. The front end is the process that started us, and the one
 * that Jupyter names, where a script of the provisioner stands between them.
 */
function leaveWithParent(leave: () => void): void {
  const parent = process.ppid;
  const told = Number(process.env.JPY_PARENT_PID ?? 0);
  // A process id that was never seen here is one of another container, unless the parent was killed before we looked.
  const named = told > 1 && told !== parent && (parent === 1 || exists(told));
  if (parent <= 1 && !named) return;
  const orphaned = () => (process.platform === "win32" ? !exists(parent) : process.ppid !== parent);
  const watch = setInterval(() => {
    if (!(parent > 1 && orphaned()) && !(named && !exists(told))) return;
    clearInterval(watch);
    leave();
  }, 1_000);
  watch.unref();
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
