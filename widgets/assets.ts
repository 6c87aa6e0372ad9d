import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const cache = new Map<string, string>();

/** Names of the files that views/build.mjs makes. */
export type AssetName =
  | "tokenLens.js"
  | "tokenLens.css"
  | "trainDash.js"
  | "trainDash.css"
  | "offlineHost.js"
  | "plotly-basic.min.js";

/**
 * A built view, style sheet or library as text.
 * @throws Error when the project has not been built.
 */
export function asset(name: AssetName): string {
  let text = cache.get(name);
  if (text === undefined) {
    const path = fileURLToPath(new URL(`./assets/${name}`, import.meta.url));
    try {
      text = readFileSync(path, "utf8");
    } catch (cause) {
      throw new Error(`the widget file ${path} is missing: build the project (npm run build)`, { cause });
    }
    cache.set(name, text);
  }
  return text;
}
