// `npm start`: from a fresh clone to JupyterLab on the first tutorial. Plain JavaScript, for it runs before anything is installed.
// Every step leaves a mark when it is finished and is done again when the mark is missing or stale, so that it can be killed at any point.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPackages } from "./install.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const say = (line) => console.log(`\u001b[2mpolicyscope\u001b[0m ${line}`);

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `policyscope needs Node 20.19 or newer; this is ${process.version}. Install a newer Node, then run npm start again.`,
  );
  process.exit(1);
}

install();
build();
const args = process.argv.slice(2);
const headless = args.includes("--headless");
const rest = args.filter((arg) => arg !== "--headless");
const child = spawn(process.execPath, [join(root, "dist/app/cli.js"), headless ? "tutorial" : "lab", ...rest], {
  cwd: root,
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));

function install() {
  if (installPackages(root, () => say("installing npm packages (once, about a minute)"))) return;
  fail("npm packages could not be installed: check the network, then run npm start again.");
}

function build() {
  const mark = join(root, "dist", ".built");
  const sources = ["app", "kernel", "src", "widgets"].map((folder) => join(root, folder));
  const newest = Math.max(...sources.map(newestChange), statSync(join(root, "package-lock.json")).mtimeMs);
  if (existsSync(mark) && statSync(mark).mtimeMs > newest) return;
  say("building");
  rmSync(mark, { force: true });
  const { status } = spawnSync(process.execPath, [join(root, "app/build.mjs")], { cwd: root, stdio: "inherit" });
  if (status !== 0) fail("the build failed; see above.");
  writeFileSync(mark, "");
}

/** When anything below a folder last changed, in ms. */
function newestChange(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) newest = Math.max(newest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  }
  return newest;
}

function fail(message) {
  console.error(`policyscope: ${message}`);
  process.exit(1);
}
