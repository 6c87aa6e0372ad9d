import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { protocolVersion, type Reply } from "../wire/messages.js";

const require = createRequire(import.meta.url);

/** Who we are: the answer to kernel_info_request. */
export function kernelInfo(): Reply<"kernel_info_request"> {
  const version = versionOf("../../../package.json");
  const typescript = versionOf("typescript/package.json");
  return {
    status: "ok",
    protocol_version: protocolVersion,
    implementation: "policyscope",
    implementation_version: version,
    language_info: {
      name: "typescript",
      version: typescript,
      mimetype: "application/typescript",
      file_extension: ".ts",
      pygments_lexer: "typescript",
      codemirror_mode: "typescript",
      nbconvert_exporter: "script",
    },
    banner: `policyscope ${version} · TypeScript ${typescript} · Node ${process.versions.node}\n%lsmagic lists what a cell can do besides TypeScript; ?name explains a name.`,
    debugger: debuggerWorks,
    help_links: [
      { text: "TypeScript", url: "https://www.typescriptlang.org/docs/" },
      { text: "Node.js", url: "https://nodejs.org/api/" },
      { text: "MDN JavaScript", url: "https://developer.mozilla.org/docs/Web/JavaScript" },
    ],
    supported_features: debuggerWorks ? ["debugger", "kernel subshells"] : ["kernel subshells"],
  };
}

/** Whether front ends may show their debugger. */
export const debuggerWorks = true;

/** What the kernel's processes take of the machine, as ipykernel's usage_reply. */
export function usage(session: number | undefined): Reply<"usage_request"> {
  const memory = process.memoryUsage.rss() + (session === undefined ? 0 : residentBytes(session));
  const { user, system } = process.cpuUsage();
  return {
    status: "ok",
    hostname: hostname(),
    pid: process.pid,
    kernel_memory: memory,
    kernel_cpu: (user + system) / 10_000 / process.uptime(),
  } as Reply<"usage_request">;
}

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}

function versionOf(manifest: string): string {
  try {
    return (require(manifest) as { version: string }).version;
  } catch {
    return "0.0.0";
  }
}
