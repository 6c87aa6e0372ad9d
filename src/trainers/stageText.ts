/** Stage values as compact text tables, for a terminal and for a notebook that can run no widget. */
import type { Ink } from "../display.js";
import type { Tensor } from "../tensor.js";
import type { Advantaged, PPOStage, Rollout, Scored, Updated } from "./stages.js";

const shownRows = 8;
const shownTokens = 48;

const fixed = (x: number, digits = 3): string => (Number.isFinite(x) ? x.toFixed(digits) : String(x));
/** Control characters and line breaks would break a table, and a model may write any. */
const oneLine = (text: string): string =>
  JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, "·");
const clipped = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);

function rowSum({ data, shape }: Tensor<"float32">, mask: Tensor<"float32">, row: number): number {
  const columns = shape[1] ?? 0;
  let sum = 0;
  for (let i = row * columns; i < (row + 1) * columns; i++) {
    if ((mask.data[i] ?? 0) !== 0) sum += data[i] ?? Number.NaN;
  }
  return sum;
}

function extent({ data }: Tensor<"float32">, mask: Tensor<"float32">): number {
  let largest = 0;
  for (let i = 0; i < data.length; i++)
    if ((mask.data[i] ?? 0) !== 0) largest = Math.max(largest, Math.abs(data[i] ?? 0));
  return largest || 1;
}

/** A response with its tokens coloured by a channel. */
function coloured(
  value: Pick<Rollout, "tokens" | "responseMask">,
  channel: Tensor<"float32">,
  row: number,
  most: number,
  ink: Ink,
): string {
  const columns = channel.shape[1] ?? 0;
  const pieces = (value.tokens[row] ?? []).slice(0, shownTokens).map((token, t) => {
    const i = row * columns + t;
    const counts = (value.responseMask.data[i] ?? 0) !== 0;
    return counts ? ink.signed(oneLine(token), (channel.data[i] ?? 0) / most) : ink.dim(oneLine(token));
  });
  return pieces.join("") + ((value.tokens[row]?.length ?? 0) > shownTokens ? "…" : "");
}

function episodes(value: Rollout | Scored | Advantaged, ink: Ink): string[] {
  const stage: "rollout" | "scored" | "advantaged" = value.stage;
  const channel =
    stage === "advantaged"
      ? (value as Advantaged).advantages
      : stage === "scored"
        ? (value as Scored).rewards
        : value.logprobs;
  const most = extent(channel, value.responseMask);
  const numbers: [string, (row: number) => string][] = [
    ["tokens", (row) => String(value.responseLengths[row] ?? 0)],
    ["logprob", (row) => fixed(rowSum(value.logprobs, value.responseMask, row), 2)],
  ];
  if (value.stage !== "rollout") {
    const scored = value as Scored;
    numbers.push(["score", (row) => fixed(scored.scores.data[row] ?? Number.NaN)]);
    numbers.push(["kl", (row) => fixed(rowSum(scored.kl, value.responseMask, row))]);
  }
  const head = `  ${"".padStart(4)} ${numbers.map(([name]) => name.padStart(8)).join(" ")}  ${"prompt".padEnd(26)} response`;
  const lines = [ink.dim(head)];
  for (let row = 0; row < Math.min(shownRows, value.prompts.length); row++) {
    const cells = numbers.map(([, cell]) => cell(row).padStart(8)).join(" ");
    const prompt = clipped(oneLine(value.prompts[row] ?? ""), 26);
    lines.push(`  ${String(row).padStart(4)} ${cells}  ${ink.dim(prompt)} ${coloured(value, channel, row, most, ink)}`);
  }
  if (value.prompts.length > shownRows) lines.push(ink.dim(`  ... ${value.prompts.length - shownRows} more episodes`));
  return lines;
}

const mean = (x: ArrayLike<number>): number => Array.from(x).reduce((sum, value) => sum + value, 0) / x.length;

/** What the colours say, where there are any. */
const legend = (ink: Ink, channel: string): string => (ink.bold("") === "" ? "" : `; tokens coloured by ${channel}`);

function describe(value: PPOStage, ink: Ink): string[] {
  switch (value.stage) {
    case "rollout": {
      const tokens = value.responseLengths.reduce((sum, length) => sum + length, 0);
      const stopped = value.finishReasons.filter((reason) => reason === "stop").length;
      return [
        `${ink.bold("Rollout")} of step ${value.step}: ${value.prompts.length} episodes, ${tokens} response tokens, ${stopped} ended by themselves`,
        ...episodes(value, ink),
      ];
    }
    case "scored":
      return [
        `${ink.bold("Scored")} episodes of step ${value.step}: mean score ${fixed(mean(value.scores.data))}, KL ${fixed(
          mean(value.prompts.map((_, row) => rowSum(value.kl, value.responseMask, row))),
        )} nats per episode, KL coefficient ${fixed(value.klCoef, 4)}${legend(ink, "reward")}`,
        ...episodes(value, ink),
      ];
    case "advantaged":
      return [
        `${ink.bold("Advantages")} of step ${value.step}: gamma ${value.gamma}, lambda ${value.gaeLambda}${legend(ink, "advantage")}`,
        ...episodes(value, ink),
      ];
    case "updated":
      return updatedLines(value, ink);
  }
}

function updatedLines(value: Updated, ink: Ink): string[] {
  const stat = (name: string): string => {
    const number = value.stats[name];
    return typeof number === "number" ? fixed(number, 4) : "";
  };
  const lines = [
    `${ink.bold(value.dryRun ? "Update, dry run" : "Updated")}: step ${value.step}, parameters ${value.parametersBefore.slice(0, 8)} -> ${value.parameters.slice(0, 8)}${value.dryRun ? " (not kept)" : ""}`,
    `  score ${stat("ppo/mean_scores")}  KL ${stat("objective/kl")}  policy loss ${stat("ppo/loss/policy")}  value loss ${stat("ppo/loss/value")}  entropy ${stat("ppo/policy/entropy")}  clipped ${stat("ppo/policy/clipfrac")}`,
    ink.dim("    epoch  batch  policy loss  value loss    ratio  approx KL  clipped   |gradient|"),
  ];
  for (const mb of value.minibatches.slice(0, 2 * shownRows)) {
    lines.push(
      `    ${String(mb.epoch).padStart(5)}  ${String(mb.index).padStart(5)}  ${fixed(mb.policyLoss, 5).padStart(11)}  ${fixed(mb.valueLoss, 5).padStart(10)}  ${fixed(mb.meanRatio, 4).padStart(7)}  ${fixed(mb.approxKl, 6).padStart(9)}  ${fixed(mb.clipFrac, 3).padStart(7)}  ${fixed(mb.gradientNorm, 4).padStart(11)}${mb.skipped ? "  skipped: ratio over the threshold" : ""}`,
    );
  }
  if (value.minibatches.length > 2 * shownRows) {
    lines.push(ink.dim(`    ... ${value.minibatches.length - 2 * shownRows} more mini-batches`));
  }
  if (value.stoppedEarly !== undefined) lines.push(`  stopped early, after epoch ${value.stoppedEarly}`);
  return lines;
}

/** A stage value as text. */
export function stageText(value: PPOStage, ink: Ink): string {
  const lines = describe(value, ink);
  if (value.stale !== undefined) lines.push(`  stale: ${value.stale}`);
  lines.push(ink.dim(`  fingerprint ${value.fingerprint}`));
  return lines.join("\n");
}
