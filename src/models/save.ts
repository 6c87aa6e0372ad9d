import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { CausalLM } from "./model.js";
import { writeSafetensors } from "./safetensors.js";

/** Files that {@link saveModel} writes, and therefore does not keep from a folder that it replaces. */
const ours = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "model.safetensors",
  "model.safetensors.index.json",
  "v_head.safetensors",
  "value_head.safetensors",
]);

/**
 * Writes a model as a Hugging Face folder: config.json, model.safetensors (float32) and the tokenizer's files. A value head
 * lies in model.safetensors under `v_head.`, where TRL reads it. An earlier model in the folder is replaced; files that
 * are not the model's stay. The folder changes in one step at the end: when anything fails it is as it was before.
 * @throws Error when there is no space, or the folder holds something that is no model.
 */
export async function saveModel(
  dir: string,
  model: CausalLM,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const target = resolve(dir);
  const existing = existsSync(target) ? await readdir(target) : undefined;
  if (existing && existing.length > 0 && !existing.includes("config.json")) {
    throw new Error(
      `${target} holds files and no model (no config.json): it is not overwritten. Choose an empty or new folder.`,
    );
  }
  const beside = join(dirname(target), `.${randomUUID()}.partial`);
  try {
    await mkdir(beside, { recursive: true });
    for (const name of existing ?? []) {
      if (!ours.has(name) && !/^model-\d+-of-\d+\.safetensors$/.test(name))
        await cp(join(target, name), join(beside, name), { recursive: true });
    }
    const { config, generationConfig, tokenizer, tokenizerConfig } = model.files;
    await writeJson(join(beside, "config.json"), inFloat32(config));
    if (generationConfig) await writeJson(join(beside, "generation_config.json"), generationConfig);
    if (tokenizer) await writeJson(join(beside, "tokenizer.json"), tokenizer);
    if (tokenizerConfig) await writeJson(join(beside, "tokenizer_config.json"), tokenizerConfig);
    await writeSafetensors(join(beside, "model.safetensors"), model.params, { signal });
    await swap(beside, target, existing !== undefined);
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new Error(
        `There is no space left to save "${model.name}" in ${target}; nothing there was changed. Free some space, or save elsewhere.`,
        { cause: error },
      );
    }
    throw error;
  }
}

async function swap(from: string, target: string, exists: boolean): Promise<void> {
  if (!exists) return rename(from, target);
  const old = `${from}.old`;
  await rename(target, old);
  try {
    await rename(from, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

async function writeJson(file: string, value: unknown): Promise<void> {
  const handle = await open(file, "w");
  try {
    await handle.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function inFloat32(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { torch_dtype: _, dtype: __, ...rest } = config;
  return { ...rest, dtype: "float32", torch_dtype: "float32" };
}
