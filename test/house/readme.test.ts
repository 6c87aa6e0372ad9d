import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const readme = readFileSync("README.md", "utf8");
const architecture = readFileSync("ARCHITECTURE.md", "utf8");

test("the README says why each dependency is there", () => {
  const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies: Record<string, string> };
  const missing = Object.keys(dependencies).filter((name) => !readme.includes(name));
  assert.deepEqual(missing, []);
});

test("dependencies are pinned to one version", () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8")) as Record<
    string,
    Record<string, string>
  >;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^(npm:.*@)?\d+\.\d+\.\d+$/.test(version),
  );
  assert.deepEqual(loose, []);
});

test("links of README and ARCHITECTURE lead to files that are there", () => {
  for (const text of [readme, architecture]) {
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) assert.ok(existsSync(target), target);
  }
});

test("ARCHITECTURE.md can be held in one's head: at most 120 lines", () => {
  assert.ok(architecture.split("\n").length <= 120);
});
