import { existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { CausalLM } from "./model.js";
import { writeSafetensors } from "./safetensors.js";

/** Files of a model that loading would read, besides those that {@link saveModel} writes. */
const stale =
  /^(chat_template\.jinja|model\.safetensors\.index\.json|model-\d+-of-\d+\.safetensors|v(alue)?_head\.safetensors)$/;

/**
 * Writes a model as a Hugging Face folder: config.json, model.safetensors (float32) and the tokenizer's files. A value head
 * lies in model.safetensors under `v_head.`, where TRL reads it. An earlier model in the folder is replaced; files that
 * are not the model's stay. Everything is written aside first and moved into place at the end, the weights last: when
 * anything fails before, the folder is as it was.
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
  const aside = join(dirname(target), `.${basename(target)}.partial`);
  try {
    // One may be left from a process that was killed.
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside, { recursive: true });
    const { config, generationConfig, tokenizer, tokenizerConfig } = model.files;
    const written = new Map<string, unknown>([
      ["generation_config.json", generationConfig],
      ["tokenizer.json", tokenizer],
      ["tokenizer_config.json", tokenizerConfig],
      ["config.json", inFloat32(config)],
    ]);
    for (const [name, content] of written) if (content) await writeJson(join(aside, name), content);
    await writeSafetensors(join(aside, "model.safetensors"), model.params, { signal });
    if (!existing) return await rename(aside, target);
    for (const [name, content] of written) {
      if (content) await rename(join(aside, name), join(target, name));
      else await rm(join(target, name), { force: true });
    }
    await rename(join(aside, "model.safetensors"), join(target, "model.safetensors"));
    for (const name of existing) if (stale.test(name)) await rm(join(target, name));
    await rm(aside, { recursive: true });
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new Error(
        `There is no space left to save "${model.name}" in ${target}; nothing there was changed. Free some space, or save elsewhere.`,
        { cause: error },
      );
    }
    throw error;
  }
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
