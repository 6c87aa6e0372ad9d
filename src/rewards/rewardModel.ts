import type { Engine } from "../engine/engine.js";
import { ortEngine } from "../engine/ort.js";
import { type ProgramCache, programCache } from "../engine/programCache.js";
import { Graph } from "../graph/graph.js";
import { program } from "../graph/program.js";
import type { CausalLM } from "../models/model.js";
import { scoreHead, selectRows } from "../nn/heads.js";
import { transformer, weightsOf } from "../nn/transformer.js";
import { float32, int32 } from "../tensor.js";
import type { Episodes, RewardContext } from "../trainers/reward.js";

/** Options of {@link rewardModel}. */
export interface RewardModelOptions {
  /**
   * Whose tokens are judged: the reward model's `own`, made from the texts of prompt and response (default where it has a
   * tokenizer), or the `policy`'s as they are, end token included, which needs a reward model of the same vocabulary.
   */
  readonly tokens?: "own" | "policy";
  /** How many episodes are judged at once; 16 by default. */
  readonly batchSize?: number;
  /** What runs the numbers; onnxruntime by default. */
  readonly engine?: Engine;
}

/**
 * A reward that a model gives: the score of its head at the last token of prompt and response together, as
 * `AutoModelForSequenceClassification` with one label computes it.
 * @throws TypeError if the model is no reward model (a sequence classifier with one label).
 * @throws RangeError from the reward for an episode without tokens, or longer than the model's context, by its number.
 */
export function rewardModel(
  model: CausalLM,
  { tokens = model.tokenizer.available ? "own" : "policy", batchSize = 16, engine }: RewardModelOptions = {},
): (episodes: Episodes, context: RewardContext) => Promise<number[]> {
  if (model.kind !== "reward") {
    throw new TypeError(
      `"${model.name}" has no score head, so it is no reward model: load one whose config.json says ...ForSequenceClassification with one label`,
    );
  }
  const { tokenizer } = model;
  let programs: ProgramCache | undefined;
  const reward = async (episodes: Episodes, { signal }: RewardContext): Promise<number[]> => {
    programs ??= programCache(engine ?? ortEngine(), { maxEntries: 8 });
    const rows = episodes.responseIds.map((response, i) =>
      tokens === "policy"
        ? [...(episodes.queryIds[i] ?? []), ...response]
        : tokenizer.encode((episodes.prompts[i] ?? "") + (episodes.responses[i] ?? "")),
    );
    rows.forEach((row, i) => checkRow(model, row, i));
    const scores: number[] = [];
    for (let start = 0; start < rows.length; start += batchSize) {
      scores.push(...(await scoresOf(model, rows.slice(start, start + batchSize), programs, signal)));
    }
    return scores;
  };
  return Object.defineProperty(reward, "name", { value: `model(${model.name})` });
}

function checkRow({ name, config }: CausalLM, row: readonly number[], episode: number): void {
  if (row.length === 0) throw new RangeError(`reward model "${name}": episode ${episode} has no tokens to judge`);
  if (row.length > config.maxPositions) {
    throw new RangeError(
      `reward model "${name}": episode ${episode} has ${row.length} tokens and its context is ${config.maxPositions}: shorten prompts or maxNewTokens`,
    );
  }
  const unknown = row.find((id) => !(id < config.vocabSize));
  if (unknown !== undefined) {
    throw new RangeError(
      `reward model "${name}": episode ${episode} has token ${unknown} and its vocabulary has ${config.vocabSize}: it is another one than the policy's; use { tokens: "own" } with a model that has a tokenizer`,
    );
  }
}

/** Scores of some sequences, padded on the right to a length of which there are few. */
async function scoresOf(
  model: CausalLM,
  rows: readonly (readonly number[])[],
  programs: ProgramCache,
  signal: AbortSignal,
): Promise<number[]> {
  const batch = rows.length;
  const length = Math.ceil(Math.max(...rows.map((row) => row.length)) / 16) * 16;
  const executable = await programs.get(`${batch}x${length}`, () => scoreProgram(model, batch, length));
  const inputIds = new Int32Array(batch * length);
  const positionIds = new Int32Array(batch * length);
  const attentionMask = new Float32Array(batch * length);
  rows.forEach((row, b) => {
    inputIds.set(row, b * length);
    attentionMask.fill(1, b * length, b * length + row.length);
    positionIds.set([...row.keys()], b * length);
  });
  const { scores } = await executable.run(
    {
      inputIds: int32([batch, length], inputIds),
      positionIds: int32([batch, length], positionIds),
      attentionMask: float32([batch, length], attentionMask),
      lasts: int32(
        [batch],
        Int32Array.from(rows, (row, b) => b * length + row.length - 1),
      ),
      ...Object.fromEntries(model.params),
    },
    { signal },
  );
  return Array.from(scores?.data ?? []);
}

function scoreProgram({ config, kind }: CausalLM, batch: number, length: number) {
  const graph = new Graph();
  const weights = weightsOf(graph, config, kind);
  const { hidden } = transformer(config, weights, {
    inputIds: graph.input("inputIds", "int32", [batch, length]),
    positionIds: graph.input("positionIds", "int32", [batch, length]),
    attentionMask: graph.input("attentionMask", "float32", [batch, length]),
  });
  return program({ scores: scoreHead(weights, selectRows(hidden, graph.input("lasts", "int32", [batch]))) });
}
