// Compiles everything to dist/: Node code with tsc, the kernel's processes and the browser views with esbuild.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const node = (script, ...args) => {
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
};

const tsc = "node_modules/typescript-native/bin/tsc";
node(tsc, "-p", "tsconfig.json");
node("kernel/bundle.mjs");
if (existsSync(join(root, "widgets/views/build.mjs"))) {
  node(tsc, "-p", "widgets/views/tsconfig.json");
  node("widgets/views/build.mjs");
}
