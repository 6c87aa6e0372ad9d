import { createWriteStream, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { loadDataset } from "../src/data/loadDataset.js";
import { loadModel } from "../src/models/load.js";
import { nearest } from "../src/nearest.js";
import * as rewards from "../src/rewards/rewards.js";
import { ConfigError, configure, isConfigKey } from "../src/trainers/configure.js";
import { PPOTrainer } from "../src/trainers/ppo.js";

/** What a training file says besides the trainer's own configuration; every other key goes to the trainer. */
const file = z.looseObject({
  stage: z.literal("ppo").default("ppo"),
  model: z.string().optional(),
  model_name_or_path: z.string().optional(),
  dataset: z.string().optional(),
  reward: z.literal("vader").default("vader"),
  steps: z.number().int().positive().optional(),
  max_steps: z.number().int().positive().optional(),
  save_steps: z.number().int().positive().optional(),
  output_dir: z.string().default("runs/ppo"),
  resume: z.boolean().default(false),
});

/**
 * `policyscope train`: the trainer of the notebooks, from a file. Writes `metrics.jsonl` (a line per step, in the dialect's
 * names) and a checkpoint into `output_dir`. Ctrl-C ends after saving the last whole step; `resume: true` goes on from there.
 * @returns the exit code
 */
export async function train({ config, say }: { config: string; say: (line: string) => void }): Promise<number> {
  const settings = readSettings(config);
  const {
    model,
    model_name_or_path,
    dataset,
    steps,
    max_steps,
    save_steps,
    output_dir,
    resume,
    reward,
    stage,
    ...ppo
  } = settings;
  const policyName = model ?? model_name_or_path;
  if (!policyName) throw new Error(`${config} names no model: add a line such as "model: tiny-reviews"`);
  if (!dataset) throw new Error(`${config} names no prompts: add a line such as "dataset: tiny-reviews/prompts"`);
  const base = dirname(resolve(config));
  const output = isAbsolute(output_dir) ? output_dir : join(base, output_dir);
  const checkpoint = join(output, "checkpoint");
  const resuming = resume && existsSync(checkpoint);
  checkKeys(ppo, config);

  say(`${stage.toUpperCase()} on ${policyName}, prompts of ${dataset}, reward ${reward}`);
  const prompts = promptsOf(await loadDataset(dataset), dataset);
  const judge = { reward: rewards.vader(), prompts };
  if (resume && !resuming) say(`there is nothing to go on from in ${checkpoint} yet; starting anew`);
  const trainer = resuming
    ? await PPOTrainer.resume(checkpoint, { ...judge, config: ppo })
    : await PPOTrainer.create({ policy: await loadModel(policyName), ...judge, config: ppo });
  if (resuming) say(`going on after step ${trainer.currentStep - 1} of ${checkpoint}`);
  mkdirSync(output, { recursive: true });

  const stop = new AbortController();
  process.once("SIGINT", () => {
    say("stopping after the last whole step; Ctrl-C again ends at once");
    stop.abort();
    process.once("SIGINT", () => process.exit(130));
  });
  const metrics = createWriteStream(join(output, "metrics.jsonl"), { flags: "a" });
  const total = steps ?? max_steps ?? 10;
  try {
    for await (const { step, stats } of trainer.run({ steps: total, signal: stop.signal })) {
      metrics.write(`${JSON.stringify({ step, ...stats })}\n`);
      const figure = (name: string) => Number(stats[name] ?? Number.NaN).toFixed(3);
      say(
        `step ${step}: mean score ${figure("ppo/mean_scores")}, KL ${figure("objective/kl")}, policy loss ${figure("ppo/loss/policy")}, value loss ${figure("ppo/loss/value")}`,
      );
      if (save_steps && (step + 1) % save_steps === 0) await trainer.save(checkpoint);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await new Promise((done) => metrics.end(done));
  }
  await trainer.save(checkpoint);
  say(`saved ${checkpoint}`);
  return stop.signal.aborted ? 130 : 0;
}

/** What is wrong with the trainer's keys, said before anything is loaded; a key nobody knows may be meant for the file. */
function checkKeys(ppo: Readonly<Record<string, unknown>>, path: string): void {
  try {
    configure(ppo);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const guess = isConfigKey(error.key) ? undefined : nearest(error.key, Object.keys(file.shape));
    throw new Error(
      `${path}: ${guess === undefined ? error.message : `unknown key "${error.key}". Did you mean "${guess}"?`}`,
      {
        cause: error,
      },
    );
  }
}

/** The prompts of a data set: rows of text, or of records with a `prompt`, `query` or `text`. */
function promptsOf(rows: Iterable<unknown>, name: string): string[] {
  return Array.from(rows, (row, index) => {
    if (typeof row === "string") return row;
    const fields = typeof row === "object" && row !== null ? (row as Record<string, unknown>) : {};
    const text = fields.prompt ?? fields.query ?? fields.text;
    if (typeof text === "string") return text;
    throw new Error(
      `row ${index} of ${name} has no prompt: expected text, or a record with "prompt", "query" or "text"; it has ${Object.keys(fields).join(", ") || typeof row}`,
    );
  });
}

function readSettings(path: string): z.infer<typeof file> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(
      missing
        ? `there is no file ${resolve(path)}; name a YAML or JSON file`
        : `${path} cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
  let data: unknown;
  try {
    data = parse(text);
  } catch (error) {
    throw new Error(`${path} is not YAML or JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new Error(
      `${path}: expected lines of "key: value", such as "model: tiny-reviews" and "dataset: tiny-reviews/prompts"`,
    );
  }
  const parsed = file.safeParse(data);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const key = issue?.path.join(".") ?? "";
  throw new Error(`${path}: ${key}: ${JSON.stringify(Reflect.get(data, key))} will not do: ${issue?.message}`);
}
