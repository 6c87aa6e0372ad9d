// Bundles what the kernel's two processes load before the first cell: a handful of files start sooner than eighty. Takes the
// place of the entries that tsc has compiled; what is loaded on demand lies in chunks, which belong to both processes.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const kernel = dirname(fileURLToPath(import.meta.url));
const out = join(kernel, "../dist/kernel");
const chunks = join(out, "chunks");
const slashed = (path) => path.replaceAll("\\", "/");

/** Modules find their neighbours by `import.meta.url`: it stays that of the module's own compiled file. */
const ownUrl = {
  name: "import.meta.url of the module",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]kernel[\\/].*\.ts$/ }, ({ path }) => {
      const own = slashed(relative(kernel, path)).replace(/\.ts$/, ".js");
      const source = readFileSync(path, "utf8");
      return { contents: source.replaceAll("import.meta.url", `new URL("${own}", KERNEL_URL).href`), loader: "ts" };
    });
  },
};

const { outputFiles } = await build({
  entryPoints: ["main.ts", "session/user/main.ts", "session/user/watchdog.ts"].map((entry) => join(kernel, entry)),
  outbase: kernel,
  outdir: out,
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  plugins: [ownUrl],
  write: false,
  logLevel: "warning",
});

mkdirSync(chunks, { recursive: true });
for (const { path, text } of outputFiles) {
  const toKernel = slashed(relative(dirname(path), out)) || ".";
  writeFileSync(path, text.replaceAll("KERNEL_URL", `new URL("${toKernel}/", import.meta.url)`));
}
// Only now, and only what is left over: a kernel that runs may still load a chunk.
const written = new Set(outputFiles.map(({ path }) => path));
for (const name of readdirSync(chunks)) if (!written.has(join(chunks, name))) rmSync(join(chunks, name));
