// Bundles each view into one self-contained ES module (dist/widgets/assets/NAME.js) and copies what is loaded on demand.
import { copyFileSync, mkdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "../../dist/widgets/assets");
const limit = 250_000;

rmSync(assets, { recursive: true, force: true });
mkdirSync(assets, { recursive: true });
await build({
  entryPoints: ["tokenLens.ts", "trainDash.ts", "offlineHost.ts"].map((name) => join(here, name)),
  outdir: assets,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  // nbconvert's pages have requirejs, which a bundle must not take for its own.
  define: { "define.amd": "false" },
  logLevel: "warning",
});
await build({
  entryPoints: [join(here, "labExtension.ts")],
  outdir: assets,
  bundle: true,
  format: "iife",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
});
await build({
  entryPoints: ["tokenLens.css", "trainDash.css"].map((name) => join(here, name)),
  outdir: assets,
  bundle: true,
  minify: true,
  logLevel: "warning",
});
for (const name of ["tokenLens.js", "trainDash.js"]) {
  const { size } = statSync(join(assets, name));
  if (size > limit)
    throw new Error(`${name} has ${size} bytes, more than ${limit}: every displayed widget carries a copy`);
}
copyFileSync(
  createRequire(import.meta.url).resolve("plotly.js/dist/plotly-basic.min.js"),
  join(assets, "plotly-basic.min.js"),
);
