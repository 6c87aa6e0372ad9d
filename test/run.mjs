// Sets up and runs the tests, and ends with the line "N passed, N failed, N skipped".
//   node test/run.mjs             everything but the slow files (*.long.test.ts), after the formatter, linter and import rules
//   node test/run.mjs golden      only the comparisons with numbers of the real libraries (GOLDEN_DIR points at another set)
//   node test/run.mjs long        only the slow files
//   node test/run.mjs graph rl    only files whose path has one of these words
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { installPackages } from "../app/install.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const words = process.argv.slice(2);

const must = (what, command, args) => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) fail(what);
};
const fail = (what) => {
  console.error(`\n${what} failed.`);
  console.log("0 passed, 1 failed");
  process.exit(1);
};
if (!installPackages(root)) fail("npm ci");
must("The build", process.execPath, ["app/build.mjs"]);
if (words.length === 0) must("npm run check", "npm", ["run", "--silent", "check"]);

const compiled = join(root, "dist/test");
const sources = join(root, "test");
const wanted = readdirSync(compiled, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".test.js") && existsSync(join(sources, file.replace(/js$/, "ts"))))
  .filter((file) => {
    const long = file.endsWith(".long.test.js");
    if (words.length === 0) return !long;
    if (words.includes("long")) return long;
    if (words.includes("golden")) return file.startsWith(`golden${sep}`);
    return words.some((word) => file.includes(word));
  })
  .sort();

process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --enable-source-maps`.trim();
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const skips = new Map();
const stream = run({
  files: wanted.map((file) => join(compiled, file)),
  concurrency: Math.min(2, availableParallelism()),
  timeout: 15 * 60_000,
});
stream.on("test:fail", (event) => {
  if (event.details?.type === "suite") return;
  counts.failed++;
  failures.push(`${event.file ? relative(compiled, event.file) : ""} › ${event.name}`);
});
stream.on("test:pass", (event) => {
  if (event.details?.type === "suite") return;
  if (event.skip === undefined && event.todo === undefined) counts.passed++;
  else {
    counts.skipped++;
    const reason = String(event.skip === true ? "no reason given" : (event.skip ?? event.todo));
    skips.set(reason, (skips.get(reason) ?? 0) + 1);
  }
});
stream.compose(new spec()).pipe(process.stdout);
stream.on("end", () =>
  setImmediate(() => {
    for (const [reason, count] of skips) console.log(`skipped ${count}: ${reason}`);
    for (const failure of failures) console.log(`failed: ${failure}`);
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
  }),
);
