/** How TypeScript people spell the files that they import. */
import { statSync } from "node:fs";
import { extname } from "node:path";

/** They import "./x.js" or "./x" and mean x.ts: what else a specifier or path may stand for, best first. */
export function spellings(specifier: string): string[] {
  const extension = extname(specifier);
  const stem = specifier.slice(0, specifier.length - extension.length);
  const same: Record<string, string[]> = { ".js": [".ts", ".tsx"], ".mjs": [".mts"], ".cjs": [".cts"] };
  const found = (same[extension] ?? []).map((other) => stem + other);
  return [
    ...found,
    ...[".ts", ".mts", ".tsx", ".js", ".mjs", ".json", ".d.ts", "/index.ts", "/index.js"].map(
      (end) => specifier.replace(/\/$/, "") + end,
    ),
  ];
}

/** Changes when the file does; undefined where there is none. */
export function stampOf(file: string): string | undefined {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat?.isFile() ? `${stat.mtimeMs} ${stat.size}` : undefined;
  } catch {
    return undefined;
  }
}

/** The file that a path means. */
export function localFile(path: string): string | undefined {
  return [path, ...spellings(path)].find((one) => statSync(one, { throwIfNoEntry: false })?.isFile());
}
