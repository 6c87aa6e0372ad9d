import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** Folder of the package.json above `folder`. */
export function packageRoot(folder: string): string {
  for (const candidate of ancestors(folder))
    if (statSync(join(candidate, "package.json"), { throwIfNoEntry: false }) !== undefined) return normal(candidate);
  return normal(folder);
}

export function packageName(root: string): string {
  const json: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return typeof json === "object" && json !== null && "name" in json ? String(json.name) : "";
}

export function ancestors(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}

/** TypeScript writes paths with forward slashes on every platform. */
export function normal(path: string): string {
  return resolve(path).replaceAll("\\", "/").replace(/\/$/, "");
}

/** Ambient declarations beside a notebook: only the folder itself and `types/`, never a walk through a home folder. */
export function declarationsNear(folder: string): string[] {
  return [folder, join(folder, "types")].flatMap((place) => {
    try {
      return readdirSync(place)
        .filter((name) => name.endsWith(".d.ts"))
        .map((name) => normal(join(place, name)));
    } catch {
      return [];
    }
  });
}
