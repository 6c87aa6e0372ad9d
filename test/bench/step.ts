import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { homeFolder } from "../../app/folders.js";
import { loadDataset, loadModel, saveModel } from "../../app/index.js";
import { findPython } from "../../app/jupyterEnv.js";

/** One line of the benchmark table: a figure of ours, of the other side where it was measured, and whether less is better. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly other?: number;
  readonly otherName?: string;
}

interface Figures {
  readonly rollout: number;
  readonly score: number;
  readonly update: number;
  readonly tokensPerSecond: number;
  readonly peakBytes: number;
}

/** A whole PPO step on a model, ours and (`withTrl`) TRL 0.11.4's in turn, each in a process of its own. */
export async function stepRows(
  model: "tiny-reviews" | "smollm2-135m",
  { withTrl, say }: { withTrl: boolean; say: (line: string) => void },
): Promise<Row[]> {
  const [batchSize, newTokens, steps] = model === "tiny-reviews" ? [32, 24, 5] : [8, 32, 3];
  const folder = mkdtempSync(join(tmpdir(), "policyscope-bench-"));
  try {
    const policy = await loadModel(model);
    const prompts = await loadDataset(model === "tiny-reviews" ? "tiny-reviews/prompts" : "movie-snippets/prompts");
    const queries = [...prompts].slice(0, batchSize).map((prompt) => policy.tokenizer?.encode(prompt) ?? []);
    const queriesFile = join(folder, "queries.json");
    writeFileSync(queriesFile, JSON.stringify(queries));
    say(`${model}: ours`);
    const ours = figures(
      execFileSync(
        process.execPath,
        [
          fileURLToPath(new URL("oneStep.js", import.meta.url)),
          model,
          String(batchSize),
          String(newTokens),
          String(steps),
          queriesFile,
        ],
        { encoding: "utf8", maxBuffer: 1e8 },
      ),
    );
    let other: Figures | undefined;
    if (withTrl) {
      const python = trlPython(say);
      const weights = join(folder, "model");
      await saveModel(weights, policy);
      say(`${model}: TRL 0.11.4`);
      other = figures(
        execFileSync(python, ["test/bench/trl_step.py", weights, queriesFile, String(newTokens), String(steps)], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        }),
      );
    }
    const whole = (side: Figures) => side.rollout + side.score + side.update;
    const row = (what: string, unit: string, of: (side: Figures) => number): Row => ({
      what: `${model} (${batchSize} x ${newTokens}): ${what}`,
      unit,
      ours: of(ours),
      ...(other ? { other: of(other), otherName: "TRL 0.11.4" } : {}),
    });
    return [
      row("rollout", "s", ({ rollout }) => rollout),
      row("score", "s", ({ score }) => score),
      row("update, 4 epochs", "s", ({ update }) => update),
      row("whole step", "s", whole),
      row("generation", "tokens/s", ({ tokensPerSecond }) => tokensPerSecond),
      row("peak memory", "MB", ({ peakBytes }) => peakBytes / 1e6),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function figures(printed: string): Figures {
  const line = printed.trim().split("\n").at(-1) ?? "";
  return JSON.parse(line) as Figures;
}

/** A Python environment with PyTorch and TRL 0.11.4, made on first use (several GB). */
function trlPython(say: (line: string) => void): string {
  if (process.env.POLICYSCOPE_TRL_PYTHON) return process.env.POLICYSCOPE_TRL_PYTHON;
  const root = join(homeFolder(), "python-trl-0.11.4");
  const python = join(root, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const finished = join(root, "finished");
  if (existsSync(finished)) return python;
  say("installing PyTorch, transformers and TRL 0.11.4 (several GB, once)");
  mkdirSync(homeFolder(), { recursive: true });
  rmSync(root, { recursive: true, force: true });
  const run = (program: string, args: readonly string[]) => {
    const { status } = spawnSync(program, args, { stdio: "inherit" });
    if (status !== 0)
      throw new Error(
        `TRL could not be installed: ${program} ${args.join(" ")} failed. Leave out --with-trl to measure ours alone.`,
      );
  };
  run(findPython().path, ["-m", "venv", root]);
  run(python, [
    "-m",
    "pip",
    "install",
    "--quiet",
    "torch",
    "trl==0.11.4",
    "transformers==4.45.2",
    "accelerate==1.0.1",
    "rich",
  ]);
  writeFileSync(finished, "");
  return python;
}
