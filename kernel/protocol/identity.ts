import { createRequire } from "node:module";
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

function versionOf(manifest: string): string {
  try {
    return (require(manifest) as { version: string }).version;
  } catch {
    return "0.0.0";
  }
}
