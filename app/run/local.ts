import { kernelSpec } from "../../kernel/install.js";
import { KernelClient } from "../../kernel/wire/client.js";
import type { CellRunner } from "./execute.js";

/**
 * A kernel of its own on this machine, through its sockets as Jupyter would, with no Python in between.
 * @param directory the notebook's folder: imports and files are found from there
 */
export async function localRunner({ directory }: { directory: string }): Promise<CellRunner> {
  const spec = kernelSpec();
  const client = await KernelClient.spawn({ argv: spec.argv, cwd: directory });
  const { reply } = await client.request("shell", "kernel_info_request", {}, { timeout: 30_000 });
  const languageInfo = reply.content.language_info;
  return {
    kernelName: "policyscope",
    displayName: spec.display_name,
    languageInfo:
      typeof languageInfo === "object" && languageInfo !== null ? { ...languageInfo } : { name: "typescript" },
    async execute(code, { cellId, onBroadcast, signal }) {
      const interrupt = () => void client.interrupt().catch(() => {});
      if (signal?.aborted) return { status: "aborted", executionCount: null };
      signal?.addEventListener("abort", interrupt);
      try {
        const { reply } = await client.execute(code, {
          ...(cellId === undefined ? {} : { metadata: { cellId } }),
          onIopub: ({ header, content, buffers }) => onBroadcast({ msgType: header.msg_type, content, buffers }),
        });
        const { status, execution_count: count } = reply.content;
        return {
          status: status === "ok" || status === "error" ? status : "aborted",
          executionCount: typeof count === "number" ? count : null,
        };
      } finally {
        signal?.removeEventListener("abort", interrupt);
      }
    },
    close: () => client.shutdown(),
  };
}
