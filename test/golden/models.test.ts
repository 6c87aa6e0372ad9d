import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import { div, mul, neg, reduceMean, reduceSum, slice, softplus, sub } from "../../src/graph/ops.js";
import { program } from "../../src/graph/program.js";
import { loadModel } from "../../src/models/load.js";
import { readSafetensors } from "../../src/models/safetensors.js";
import { lmHead, scoreHead, selectRows, tokenLogprobs } from "../../src/nn/heads.js";
import { transformer, weightsOf } from "../../src/nn/transformer.js";
import { float32, int32 } from "../../src/tensor.js";
import {
  closeTo,
  closeToNumber,
  closeToTensorMax,
  flat,
  goldenCases,
  goldenDir,
  type Nested,
  readGolden,
} from "../helpers/golden.js";

interface Batch {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly position_ids: number[][];
  readonly n_chosen?: number;
}
type Sides<T> = Readonly<Record<"left" | "right", T>>;

const engine = ortEngine();

for (const name of goldenCases("models")) {
  const golden = readGolden<Sides<Batch>, Sides<Record<string, Nested>>, { folder: string }>(`models/${name}.json`);
  const folder = join(goldenDir(), golden.config.folder);
  for (const side of ["right", "left"] as const) {
    test(`models/${name}, ${side}-padded: outputs and the gradient of every parameter`, async () => {
      const model = await loadModel(folder);
      const {
        input_ids: ids,
        attention_mask: attention,
        position_ids: positions,
        n_chosen: chosen,
      } = golden.inputs[side];
      const batch = ids.length;
      const length = ids[0]?.length ?? 0;
      const graph = new Graph();
      const weights = weightsOf(graph, model.config, model.kind);
      const inputIds = graph.input("inputIds", "int32", [batch, length]);
      const attentionMask = graph.input("attentionMask", "float32", [batch, length]);
      const positionIds = graph.input("positionIds", "int32", [batch, length]);
      const { hidden } = transformer(model.config, weights, { inputIds, positionIds, attentionMask });
      const names = [...model.params.keys()];
      const feeds = {
        inputIds: int32([batch, length], flat(ids)),
        attentionMask: float32([batch, length], flat(attention)),
        positionIds: int32([batch, length], flat(positions)),
        ...Object.fromEntries(model.params),
      };
      const grads = (loss: Parameters<typeof gradient>[0]) =>
        Object.fromEntries(gradient(loss, names.map(weights)).map((value, i) => [`d ${names[i]}`, value]));
      const expected = golden.expected[side];
      const { tolerance } = golden;
      let results: Awaited<ReturnType<Awaited<ReturnType<typeof engine.compile>>["run"]>>;
      if (model.kind === "reward") {
        const lasts = attention.map((row, b) => b * length + row.lastIndexOf(1));
        const scores = scoreHead(weights, selectRows(hidden, graph.constant(int32([batch], lasts))));
        const count = chosen ?? 0;
        const loss = reduceMean(softplus(sub(slice(scores, 0, count), slice(scores, 0, 0, count))));
        results = await runOnce(program({ scores, loss, every: scoreHead(weights, hidden), ...grads(loss) }), feeds);
        closeTo(data(results, "scores"), flat(expected.scores ?? []), { abs: Number(tolerance.scores_abs) }, "scores");
        compareWhere(
          data(results, "every"),
          expected.scores_every_token ?? [],
          flat(attention),
          1,
          Number(tolerance.scores_abs),
          "scores of every token",
        );
        closeToNumber(
          data(results, "loss")[0] ?? Number.NaN,
          Number(expected.pairwise_loss),
          { abs: Number(tolerance.loss_abs) },
          "loss",
        );
      } else {
        const logits = lmHead(model.config, weights, hidden);
        const logprobs = tokenLogprobs(slice(logits, 1, 0, length - 1), slice(inputIds, 1, 1));
        const counts = mul(slice(attentionMask, 1, 0, length - 1), slice(attentionMask, 1, 1));
        const loss = div(neg(reduceSum(mul(logprobs, counts))), reduceSum(counts));
        results = await runOnce(program({ logits, logprobs, loss, ...grads(loss) }), feeds);
        compareWhere(
          data(results, "logits"),
          expected.logits ?? [],
          flat(attention),
          model.config.vocabSize,
          Number(tolerance.logits_abs),
          "logits",
        );
        const counted = attention.flatMap((row) => row.slice(1).map((real, t) => real * (row[t] ?? 0)));
        compareWhere(
          data(results, "logprobs"),
          expected.next_token_logprobs ?? [],
          counted,
          1,
          Number(tolerance.logprobs_abs),
          "log-probs",
        );
        closeToNumber(
          data(results, "loss")[0] ?? Number.NaN,
          Number(expected.loss),
          { abs: Number(tolerance.loss_abs) },
          "loss",
        );
      }
      const gradients = join(folder, `grads_${side}.safetensors`);
      assert.ok(existsSync(gradients), gradients);
      const inMemory = await readSafetensors(gradients);
      // transformers 5 calls GPT-NeoX's head lm_head in memory, and embed_out in files as it always was.
      const named = (name: string) =>
        model.config.modelType === "gpt_neox" ? name.replace("lm_head", "embed_out") : name;
      const expectedGradients = new Map([...inMemory].map(([name, value]) => [named(name), value]));
      assert.deepEqual([...expectedGradients.keys()].sort(), names.sort());
      for (const [name, { data: wanted }] of expectedGradients) {
        closeToTensorMax(
          data(results, `d ${name}`),
          wanted,
          Number(tolerance.grads_rel_to_tensor_max),
          `gradient of ${name}`,
        );
      }
    });
  }
}

async function runOnce(
  what: Parameters<typeof engine.compile>[0],
  feeds: Parameters<Awaited<ReturnType<typeof engine.compile>>["run"]>[0],
) {
  const executable = await engine.compile(what);
  try {
    return await executable.run(feeds);
  } finally {
    await executable.dispose();
  }
}

function data(
  results: Readonly<Record<string, { readonly data: ArrayLike<number> }>>,
  name: string,
): ArrayLike<number> {
  const value = results[name];
  assert.ok(value, `no output "${name}"`);
  return value.data;
}

/** Compares the rows of `width` numbers where the mask is 1. */
function compareWhere(
  actual: ArrayLike<number>,
  expected: Nested,
  mask: readonly number[],
  width: number,
  abs: number,
  what: string,
): void {
  const wanted = flat(expected);
  assert.equal(actual.length, wanted.length, what);
  const at = (values: ArrayLike<number>) =>
    mask.flatMap((real, row) =>
      real ? Array.from({ length: width }, (_, i) => values[row * width + i] ?? Number.NaN) : [],
    );
  closeTo(at(actual), at(wanted), { abs }, what);
}
