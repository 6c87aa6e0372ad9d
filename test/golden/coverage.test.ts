import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { goldenDir } from "../helpers/golden.js";

/**
 * The test of a family of golden numbers (a folder or file of GOLDEN_DIR) is test/golden/<family>.test.ts.
 * Every family without one shows up as a skipped test.
 */
const families = readdirSync(goldenDir())
  .filter((name) => statSync(join(goldenDir(), name)).isDirectory() || name.endsWith(".json"))
  .map((name) => name.replace(/\.json$/, ""));

for (const family of families.sort()) {
  const covered = existsSync(join("test", "golden", `${family}.test.ts`));
  test(
    `golden family ${family} has a test`,
    covered ? {} : { skip: `golden family not covered yet: ${family}` },
    () => {},
  );
}
