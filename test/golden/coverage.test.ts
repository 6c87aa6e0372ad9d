import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { goldenDir } from "../helpers/golden.js";

/**
 * A family of golden numbers is covered when a test file of this folder names it: `models`, or `models.something`,
 * for the folder models/ of GOLDEN_DIR. Every family without one shows up as a skipped test.
 */
const here = join("test", "golden");
const testFiles = readdirSync(here).filter((file) => file.endsWith(".test.ts"));
const families = readdirSync(goldenDir())
  .filter((name) => statSync(join(goldenDir(), name)).isDirectory() || name.endsWith(".json"))
  .map((name) => name.replace(/\.json$/, ""));

for (const family of [...new Set(families)].sort()) {
  const covered = testFiles.some(
    (file) => file === `${family}.test.ts` || file.startsWith(`${family}.`) || mentions(file, family),
  );
  test(
    `golden family ${family} has a test`,
    covered ? {} : { skip: `golden family not covered yet: ${family}` },
    () => {},
  );
}

function mentions(file: string, family: string): boolean {
  if (file === "coverage.test.ts" || !existsSync(join(here, file))) return false;
  return readFileSync(join(here, file), "utf8").includes(`"${family}`);
}
