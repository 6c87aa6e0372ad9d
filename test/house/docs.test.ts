import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CELL_MAGICS, LINE_MAGICS } from "../../kernel/session/magics/catalogue.js";
import type { PPOConfig } from "../../src/trainers/config.js";
import { configure } from "../../src/trainers/configure.js";
import { PPOTrainer } from "../../src/trainers/ppo.js";
import { evenTokens, tinyPolicy } from "../helpers/tinyPolicy.js";

const dialect = readFileSync("docs/ppo-trl-0.11.md", "utf8");
const kernel = readFileSync("docs/kernel.md", "utf8");

/** Rows of the table below a heading, its cells without back quotes. */
function table(heading: string, page = dialect): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? "";
  return [...section.matchAll(/^\| (`.*) \|$/gm)].map(([, row = ""]) =>
    row.split(" | ").map((cell) => cell.replaceAll("`", "").replaceAll("\\|", "|").trim()),
  );
}

const other = (value: unknown): unknown => {
  if (typeof value === "boolean") return !value;
  return typeof value === "number" ? value / 2 + 0.25 : value;
};

test("the page on trl-0.11 lists every key, its names and its default", () => {
  const defaults: PPOConfig = configure();
  const rows = table("Configuration");
  assert.deepEqual(
    rows.map(([key]) => key),
    Object.keys(defaults),
  );
  for (const [key = "", also = "", written = ""] of rows) {
    const value = defaults[key as keyof PPOConfig];
    assert.deepEqual(JSON.parse(written), value, key);
    for (const name of also.split(", ").filter((text) => text !== "")) {
      const given = Number.isInteger(value) && key !== "klTarget" ? Number(value) : other(value);
      assert.throws(() => configure({ [name]: given, [key]: Number.NaN }), /is the same setting/, name);
    }
  }
});

test("the page on trl-0.11 lists every metric", async () => {
  const trainer = await PPOTrainer.create({
    policy: await tinyPolicy(),
    reward: evenTokens,
    prompts: ["The film", "My aunt"],
    config: { batchSize: 2, maxNewTokens: 3, ppoEpochs: 1 },
  });
  const { stats } = await trainer.step();
  assert.deepEqual(
    table("Metrics")
      .map(([name]) => name)
      .sort(),
    Object.keys(stats).sort(),
  );
});

test("the page on the kernel lists every magic", () => {
  const documented = [LINE_MAGICS, CELL_MAGICS].flatMap((magics) =>
    Object.values(magics).map(({ usage, help }) => [usage, help]),
  );
  assert.deepEqual(table("Magics", kernel).slice(0, documented.length), documented);
});
