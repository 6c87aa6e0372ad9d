import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Gives a JupyterLab the extension that stands in for saved widgets which JupyterLab itself cannot show: their view, drawn
 * from the notebook, or their static form.
 * @param share a Jupyter data folder, such as `<environment>/share/jupyter`
 * @returns the folder that was written
 */
export function installLabExtension(share: string): string {
  const folder = join(share, "labextensions", "policyscope");
  mkdirSync(join(folder, "static"), { recursive: true });
  cpSync(fileURLToPath(new URL("./assets/labExtension.js", import.meta.url)), join(folder, "static", "remoteEntry.js"));
  writeFileSync(
    join(folder, "package.json"),
    `${JSON.stringify(
      {
        name: "policyscope",
        version: "0.1.0",
        description: "Saved widgets that cannot be shown show their static form",
        license: "Apache-2.0",
        jupyterlab: { extension: true, _build: { load: "static/remoteEntry.js", extension: "./extension" } },
      },
      null,
      2,
    )}\n`,
  );
  return folder;
}

/** Takes the extension away again; no error where there is none. */
export function uninstallLabExtension(share: string): void {
  rmSync(join(share, "labextensions", "policyscope"), { recursive: true, force: true });
}
