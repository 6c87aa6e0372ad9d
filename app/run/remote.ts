import { createRequire } from "node:module";
import type { Kernel, KernelMessage, ServerConnection as Server } from "@jupyterlab/services";
import WebSocket from "ws";
import type { Broadcast, CellRunner } from "./execute.js";

// The package's modules are CommonJS.
const services = createRequire(import.meta.url)("@jupyterlab/services") as typeof import("@jupyterlab/services");

/**
 * Runs cells on a Jupyter server.
 * @param url the server's address; a token may be its `?token=` parameter
 * @param kernelName the kernelspec to start there
 * @throws Error naming the server and what it answered
 */
export async function remoteRunner(url: string, kernelName: string, path: string): Promise<CellRunner> {
  const { baseUrl, token } = parseServerUrl(url);
  const serverSettings: Server.ISettings = services.ServerConnection.makeSettings({
    baseUrl,
    wsUrl: baseUrl.replace(/^http/, "ws"),
    token,
    appendToken: true,
    WebSocket: (globalThis.WebSocket ?? WebSocket) as typeof globalThis.WebSocket,
    init: { cache: "no-store" },
  });
  const specs = new services.KernelSpecManager({ serverSettings });
  const kernels = new services.KernelManager({ serverSettings });
  const sessions = new services.SessionManager({ serverSettings, kernelManager: kernels });
  try {
    await specs.ready;
  } catch (error) {
    throw new Error(
      `the Jupyter server at ${baseUrl} did not answer: ${(error as Error).message}. Is it running, and is the token right (--server "URL?token=…")?`,
      { cause: error },
    );
  }
  const spec = specs.specs?.kernelspecs[kernelName];
  if (!spec) {
    const known = Object.keys(specs.specs?.kernelspecs ?? {}).join(", ") || "none";
    throw new Error(
      `the Jupyter server at ${baseUrl} has no kernel "${kernelName}" (it has: ${known}). Run policyscope install there, or name another with --kernel.`,
    );
  }
  const session = await sessions.startNew({ path, name: path, type: "notebook", kernel: { name: kernelName } });
  const kernel = session.kernel;
  if (!kernel) throw new Error(`the Jupyter server at ${baseUrl} started a session without a kernel`);
  const info = await kernel.info;
  return {
    kernelName,
    displayName: spec.display_name,
    languageInfo: { ...info.language_info },
    execute: (code, options) => execute(kernel, code, options),
    async close() {
      await session.shutdown();
      for (const manager of [sessions, kernels, specs]) manager.dispose();
    },
  };
}

async function execute(
  kernel: Kernel.IKernelConnection,
  code: string,
  options: { cellId?: string; onBroadcast: (message: Broadcast) => void; signal?: AbortSignal },
): Promise<{ status: "ok" | "error" | "aborted"; executionCount: number | null }> {
  const future = kernel.requestExecute(
    { code, allow_stdin: false, stop_on_error: true },
    false,
    options.cellId === undefined ? undefined : { cellId: options.cellId },
  );
  future.onIOPub = (message: KernelMessage.IIOPubMessage) =>
    options.onBroadcast({
      msgType: message.header.msg_type,
      content: message.content as Record<string, unknown>,
      buffers: (message.buffers ?? []).map((buffer) =>
        ArrayBuffer.isView(buffer)
          ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
          : new Uint8Array(buffer),
      ),
    });
  const interrupt = () => void kernel.interrupt();
  options.signal?.addEventListener("abort", interrupt);
  try {
    const reply = await future.done;
    if (!reply) return { status: "aborted", executionCount: null };
    return {
      status: reply.content.status === "ok" ? "ok" : reply.content.status === "error" ? "error" : "aborted",
      executionCount: "execution_count" in reply.content ? reply.content.execution_count : null,
    };
  } finally {
    options.signal?.removeEventListener("abort", interrupt);
  }
}

function parseServerUrl(text: string): { baseUrl: string; token: string } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error(`--server ${text}: expected an address such as "http://127.0.0.1:8888/?token=…"`);
  }
  const token = url.searchParams.get("token") ?? process.env.JUPYTER_TOKEN ?? "";
  const path = url.pathname.replace(/\/(lab|tree|notebooks)(\/.*)?$/, "/");
  return { baseUrl: `${url.origin}${path.endsWith("/") ? path : `${path}/`}`, token };
}
