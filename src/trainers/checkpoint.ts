/**
 * A trainer on disk. The folder holds `trainer.json` (configuration, small state, metrics, and the names of the other
 * parts) beside a Hugging Face folder for the policy, one for the reference, and the optimizer's moments. New parts are
 * written under new names; replacing trainer.json, one atomic rename, is what makes them count. Then the old ones go.
 */
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { loadModel } from "../models/load.js";
import { type CausalLM, withParams } from "../models/model.js";
import { readSafetensors, writeSafetensors } from "../models/safetensors.js";
import { saveModel } from "../models/save.js";
import { regroup, ungroup } from "../state/timeline.js";
import type { Params } from "../tensor.js";
import type { PPOConfig } from "./config.js";
import { configure, type PPOConfigInput } from "./configure.js";
import { TrainerError } from "./errors.js";
import type { Stats } from "./trlStats.js";

/** Everything a trainer needs to go on. */
export interface Checkpoint {
  readonly config: PPOConfig;
  readonly state: {
    readonly step: number;
    readonly klCoef: number;
    readonly moments: {
      readonly mean: number;
      readonly variance: number;
      readonly std: number;
      readonly count: number;
    };
    readonly optimizerSteps: number;
    readonly parameters: string;
  };
  /** Metrics of the steps so far. */
  readonly history: readonly { readonly step: number; readonly stats: Stats; readonly parameters: string }[];
  readonly policy: CausalLM;
  /** Undefined when it is the policy itself. */
  readonly reference: CausalLM | undefined;
  readonly m: Params;
  readonly v: Params;
}

const number = z.number();
// JSON has no NaN or infinities: they are written as text.
const stat = z.union([number, z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number)]);
const schema = z.object({
  format: z.literal("policyscope-ppo"),
  version: z.literal(1),
  config: z.record(z.string(), z.unknown()),
  state: z.object({
    step: z.int().min(0),
    klCoef: number,
    moments: z.object({ mean: number, variance: number, std: number, count: number }),
    optimizerSteps: z.int().min(0),
    parameters: z.string(),
  }),
  history: z.array(
    z.object({
      step: z.int(),
      parameters: z.string(),
      stats: z.record(z.string(), z.union([stat, z.array(stat)])),
    }),
  ),
  policy: z.object({ folder: z.string(), name: z.string() }),
  reference: z.object({ folder: z.string(), name: z.string() }).nullable(),
  optimizer: z.string().nullable(),
});

const pointer = "trainer.json";
const part = /^(policy|reference|optimizer)-[\w-]+(\.safetensors)?(\.partial)?$/;

function folderOf(dir: unknown, call: string): string {
  if (typeof dir === "string" && dir !== "") return resolve(dir);
  throw new TrainerError(`${call}: the folder is ${JSON.stringify(dir)}; expected its path, such as "runs/first"`);
}

/**
 * Writes a checkpoint. When anything fails, what the folder held before is intact.
 * @throws TrainerError when there is no space, or the folder holds other files.
 */
export async function writeCheckpoint(dir: string, checkpoint: Checkpoint, signal?: AbortSignal): Promise<void> {
  const folder = folderOf(dir, "save");
  const { config, state, history, policy, reference, m, v } = checkpoint;
  const stamp = `${state.step}-${state.parameters.slice(0, 12)}`;
  const names = {
    policy: `policy-${stamp}`,
    reference: reference === undefined ? undefined : `reference-${reference.fingerprint.slice(0, 12)}`,
    optimizer: m.size === 0 ? undefined : `optimizer-${stamp}.safetensors`,
  };
  const partial: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    const others = (await readdir(folder)).filter((name) => !part.test(name) && !name.startsWith(pointer));
    if (others.length > 0 && !existsSync(join(folder, pointer))) {
      throw new TrainerError(`${folder} holds other files (${others[0]}); save into an empty or new folder`);
    }
    const write = async (name: string | undefined, how: (path: string) => Promise<void>): Promise<void> => {
      if (name === undefined || existsSync(join(folder, name))) return;
      signal?.throwIfAborted();
      const temporary = join(folder, `${name}.partial`);
      partial.push(temporary);
      await rm(temporary, { recursive: true, force: true });
      await how(temporary);
      await rename(temporary, join(folder, name));
    };
    await write(names.policy, (path) => saveModel(path, policy, { signal }));
    if (reference !== undefined) await write(names.reference, (path) => saveModel(path, reference, { signal }));
    await write(names.optimizer, (path) => writeSafetensors(path, regroup({ m, v }), { signal }));
    const json = {
      format: "policyscope-ppo",
      version: 1,
      config,
      state,
      history,
      policy: { folder: names.policy, name: policy.name },
      reference: reference === undefined ? null : { folder: names.reference, name: reference.name },
      optimizer: names.optimizer ?? null,
    };
    const temporary = join(folder, `${pointer}.partial`);
    partial.push(temporary);
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(
        `${JSON.stringify(json, (_key, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value))}\n`,
      );
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, join(folder, pointer));
  } catch (error) {
    for (const path of partial) await rm(path, { recursive: true, force: true }).catch(() => undefined);
    const { code } = error as NodeJS.ErrnoException;
    const { cause } = error as Error;
    if (code === "ENOSPC" || (cause as NodeJS.ErrnoException | undefined)?.code === "ENOSPC") {
      throw new TrainerError(
        `there is no space left to save the trainer in ${folder}; what was saved there before is intact. Free some space, or save elsewhere`,
        { cause: error },
      );
    }
    if (["EEXIST", "ENOTDIR", "EACCES", "EPERM", "EROFS"].includes(code ?? "")) {
      throw new TrainerError(
        `the trainer cannot be saved in ${folder}: ${(error as Error).message}; save into a folder you may write to, or a new one`,
        { cause: error },
      );
    }
    throw error;
  }
  const counting = new Set<string | undefined>(Object.values(names));
  for (const name of await readdir(folder)) {
    if (part.test(name) && !counting.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Reads a checkpoint. @throws TrainerError naming what is missing or damaged. */
export async function readCheckpoint(dir: string): Promise<Checkpoint> {
  const folder = folderOf(dir, "resume");
  const file = join(folder, pointer);
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    const what =
      cause.code === "ENOENT" ? `there is no saved trainer in ${folder} (no ${pointer})` : `${file}: ${cause.message}`;
    throw new TrainerError(`${what}; give the folder that trainer.save(dir) wrote`, { cause });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new TrainerError(`${file} is damaged: ${(cause as Error).message}; use another checkpoint`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new TrainerError(`${file} is damaged: ${issue?.path.join(".")}: ${issue?.message}; use another checkpoint`);
  }
  const { config, state, history, policy, reference, optimizer } = parsed.data;
  const loaded = await loadModel(join(folder, policy.folder));
  const other = reference === null ? undefined : await loadModel(join(folder, reference.folder));
  const moments = optimizer === null ? {} : ungroup(await readSafetensors(join(folder, optimizer)));
  const none: Params = new Map();
  if (loaded.fingerprint !== state.parameters) {
    throw new TrainerError(
      `${join(folder, policy.folder)} does not hold the parameters that ${pointer} speaks of (${loaded.fingerprint.slice(0, 12)} instead of ${state.parameters.slice(0, 12)}); use another checkpoint`,
    );
  }
  return {
    config: configure(config as PPOConfigInput),
    state,
    history,
    policy: withParams(loaded, loaded.params, policy.name),
    reference: other === undefined || reference === null ? undefined : withParams(other, other.params, reference.name),
    m: moments.m ?? none,
    v: moments.v ?? none,
  };
}
