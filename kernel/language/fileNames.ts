import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";
import type { CompletionItem } from "./answers.js";

/**
 * Files and folders whose path begins with `typed`, each replacing the part of it behind the last slash.
 * @param wanted which files; folders are always proposed. Undefined when there is no such folder.
 */
export function filesNamed(
  typed: string,
  offset: number,
  directory: string,
  wanted: RegExp,
): CompletionItem[] | undefined {
  const slash = typed.lastIndexOf("/") + 1;
  const name = typed.slice(slash);
  const folder = resolve(directory, typed.slice(0, slash).replace(/^~(?=\/)/, homedir()));
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.name.startsWith(name) && (name !== "" || !entry.name.startsWith(".")))
      .filter((entry) => entry.isDirectory() || wanted.test(entry.name))
      .slice(0, 200)
      .map((entry) => ({
        start: offset - name.length,
        end: offset,
        text: entry.isDirectory() ? `${entry.name}/` : entry.name,
        type: "path",
        signature: "",
      }));
  } catch {
    return undefined;
  }
}
