import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Models that are part of the package. */
export const embeddedModels = ["tiny-reviews"] as const;

/** The Hugging Face folder of a model that is part of the package, in a clone and in an installed package alike. */
export function embeddedModelFolder(name: (typeof embeddedModels)[number]): string {
  const inPackage = join("src", "models", "embedded", name);
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return join(folder, inPackage);
    if (dirname(folder) === folder) {
      throw new Error(`policyscope's own package.json was not found above ${start}: install the package again`);
    }
  }
}
