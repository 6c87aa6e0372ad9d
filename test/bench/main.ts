// `npm run bench`: prints a table of what this machine measures. Words choose parts (step, kernel, widgets); --with-trl
// measures TRL 0.11.4 beside ours.
import { cpus, totalmem } from "node:os";
import { engineRows } from "./engine.js";
import { kernelRows } from "./kernel.js";
import { type Row, stepRows } from "./step.js";
import { widgetRows } from "./widgets.js";

const args = process.argv.slice(2);
const withTrl = args.includes("--with-trl");
const words = args.filter((arg) => !arg.startsWith("--"));
const say = (line: string) => console.error(`bench: ${line}`);

const parts: Record<string, () => Promise<readonly Row[]>> = {
  engine: () => engineRows(),
  "step tiny-reviews": () => stepRows("tiny-reviews", { withTrl, say }),
  "step smollm2-135m": () => stepRows("smollm2-135m", { withTrl, say }),
  kernel: () => kernelRows(say),
  widgets: () => widgetRows(say),
};

const rows: Row[] = [];
for (const [name, measure] of Object.entries(parts)) {
  if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
  try {
    rows.push(...(await measure()));
  } catch (error) {
    say(`${name} was left out: ${(error as Error).message.split("\n")[0]}`);
  }
}
console.log(
  `\nNode ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 1e9)} GB\n`,
);
const show = (value: number | undefined) =>
  value === undefined ? "" : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
const table = [
  ["", "ours", "other", "ours / other", ""],
  ...rows.map(({ what, unit, ours, other, otherName }) => [
    what,
    `${show(ours)} ${unit}`,
    other === undefined ? "" : `${show(other)} ${unit}`,
    other === undefined ? "" : (ours / other).toFixed(2),
    otherName ?? "",
  ]),
];
const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
for (const row of table)
  console.log(
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join("  "),
  );
