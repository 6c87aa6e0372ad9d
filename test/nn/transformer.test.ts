import assert from "node:assert/strict";
import { test } from "node:test";
import { ortEngine } from "../../src/engine/ort.js";
import { referenceEngine } from "../../src/engine/reference.js";
import { gradient } from "../../src/graph/gradient.js";
import { Graph } from "../../src/graph/graph.js";
import { add, mul, reduceSum } from "../../src/graph/ops.js";
import { type Program, program } from "../../src/graph/program.js";
import { loadModel } from "../../src/models/load.js";
import { embeddingName, type ModelConfig, parameterShapes } from "../../src/nn/config.js";
import { lmHead, selectRows, tokenLogprobs, valueHead } from "../../src/nn/heads.js";
import { headDimOf, pastInputs, product, transformer, weightsOf } from "../../src/nn/transformer.js";
import { stream } from "../../src/random.js";
import { float32, int32, type Params, sizeOf, type Tensor } from "../../src/tensor.js";
import { closeTo } from "../helpers/golden.js";

const engine = ortEngine();
const families = ["gpt2", "gpt_neox", "llama_untied", "qwen2", "qwen3"];

async function run(
  what: Program,
  feeds: Readonly<Record<string, Tensor>>,
  on = engine,
): Promise<Record<string, Tensor>> {
  const executable = await on.compile(what);
  try {
    return await executable.run(feeds);
  } finally {
    await executable.dispose();
  }
}

function inputsOf(graph: Graph, batch: number, length: number, maskLength = length) {
  return {
    inputIds: graph.input("inputIds", "int32", [batch, length]),
    positionIds: graph.input("positionIds", "int32", [batch, length]),
    attentionMask: graph.input("attentionMask", "float32", [batch, maskLength]),
  };
}

/** Logits [B, T, V] of padded rows. */
async function logitsOf(
  config: ModelConfig,
  params: Params,
  ids: number[][],
  mask: number[][],
  positions: number[][],
  on = engine,
) {
  const graph = new Graph();
  const [batch, length] = [ids.length, ids[0]?.length ?? 0];
  const weights = weightsOf(graph, config);
  const { hidden } = transformer(config, weights, inputsOf(graph, batch, length));
  const { logits } = await run(
    program({ logits: lmHead(config, weights, hidden) }),
    {
      inputIds: int32([batch, length], ids.flat()),
      attentionMask: float32([batch, length], mask.flat()),
      positionIds: int32([batch, length], positions.flat()),
      ...Object.fromEntries(params),
    },
    on,
  );
  assert.ok(logits?.data instanceof Float32Array);
  return logits.data;
}

const tokens = [7, 31, 4, 90, 12, 55, 3, 8];
const count = (length: number) => Array.from({ length }, (_, i) => i);

for (const name of families) {
  test(`${name}: what is padded, on which side, changes nothing for the real tokens`, async () => {
    const { config, params } = await loadModel(`test/golden/models/${name}`);
    const length = tokens.length;
    const pad = [0, 0, 0];
    const ones = tokens.map(() => 1);
    const [alone, left, right] = [
      await logitsOf(config, params, [tokens], [ones], [count(length)]),
      await logitsOf(config, params, [[...pad, ...tokens]], [[...pad, ...ones]], [[...pad, ...count(length)]]),
      await logitsOf(config, params, [[...tokens, 9, 9, 9]], [[...ones, ...pad]], [[...count(length), ...pad]]),
    ];
    closeTo(left.subarray(3 * config.vocabSize), alone, { abs: 2e-5 }, "left-padded");
    closeTo(right.subarray(0, length * config.vocabSize), alone, { abs: 2e-5 }, "right-padded");
  });

  test(`${name}: token by token through the cache is the same as all at once`, async () => {
    const { config, params } = await loadModel(`test/golden/models/${name}`);
    const whole = await logitsOf(config, params, [tokens], [tokens.map(() => 1)], [count(tokens.length)]);
    const slots = tokens.length + 3;
    const graph = new Graph();
    const weights = weightsOf(graph, config);
    const past = pastInputs(graph, config, 1, slots);
    const { hidden, presents } = transformer(config, weights, inputsOf(graph, 1, 1, slots + 1), { past });
    const rows = presents.flatMap(
      ({ keys, values }, layer) =>
        [
          [`new.${layer}.keys`, keys],
          [`new.${layer}.values`, values],
        ] as const,
    );
    const executable = await engine.compile(
      program({ logits: lmHead(config, weights, hidden), ...Object.fromEntries(rows) }),
    );
    const headDim = headDimOf(config);
    const cache = new Map<string, Tensor<"float32">>();
    for (const [layer, { keys }] of past.entries()) {
      // What no mask bit marks as used may hold anything.
      for (const part of ["keys", "values"])
        cache.set(`${layer}.${part}`, float32(keys.shape, new Float32Array(sizeOf(keys.shape)).fill(1e3)));
    }
    const mask = new Float32Array(slots + 1);
    mask[slots] = 1;
    for (const [t, id] of tokens.entries()) {
      const out = await executable.run({
        inputIds: int32([1, 1], [id]),
        positionIds: int32([1, 1], [t]),
        attentionMask: float32([1, slots + 1], mask.slice()),
        ...Object.fromEntries([...cache].map(([key, value]) => [`past.${key}`, value])),
        ...Object.fromEntries(params),
      });
      closeTo(
        out.logits?.data ?? [],
        whole.subarray(t * config.vocabSize, (t + 1) * config.vocabSize),
        { abs: 3e-5 },
        `token ${t}`,
      );
      for (const [key, { data, shape }] of cache) {
        const fresh = out[`new.${key}`]?.data ?? [];
        for (let head = 0; head < (shape[1] ?? 0); head++) {
          for (let i = 0; i < headDim; i++)
            data[(head * slots + t) * headDim + i] = fresh[head * headDim + i] ?? Number.NaN;
        }
      }
      mask[t] = 1;
    }
    await executable.dispose();
  });
}

test("both engines compute the same model", async () => {
  const { config, params } = await loadModel("test/golden/models/llama_untied");
  const rows = [[tokens, tokens.map(() => 1), count(tokens.length)]] as const;
  const [[ids, mask, positions]] = rows;
  const native = await logitsOf(config, params, [[...ids]], [[...mask]], [[...positions]]);
  const oracle = await logitsOf(config, params, [[...ids]], [[...mask]], [[...positions]], referenceEngine());
  closeTo(native, oracle, { abs: 2e-5 }, "logits");
});

test("the gradient of detached embeddings, scattered, is what the table's gradient lacks", async () => {
  const { config, params } = await loadModel("test/golden/models/llama_tied");
  const length = tokens.length;
  const ids = [...tokens.slice(0, -1), tokens[0] ?? 0];
  const table = embeddingName(config);
  const gradientsOf = async (detachEmbedding: boolean) => {
    const graph = new Graph();
    const weights = weightsOf(graph, config);
    const inputs = inputsOf(graph, 1, length);
    const { hidden, embeddings } = transformer(config, weights, inputs, { detachEmbedding });
    const picked = selectRows(hidden, graph.constant(int32([3], [1, 4, 6])));
    const logprobs = tokenLogprobs(lmHead(config, weights, picked), graph.constant(int32([3], [5, 6, 7])));
    const loss = add(reduceSum(logprobs), reduceSum(mul(valueHead(weights, picked), 0.3)));
    const [rows, whole] = gradient(loss, [embeddings, weights(table)]);
    assert.ok(rows && whole);
    return run(program({ rows, whole }), {
      inputIds: int32([1, length], ids),
      positionIds: int32([1, length], count(length)),
      attentionMask: float32(
        [1, length],
        tokens.map(() => 1),
      ),
      ...Object.fromEntries(params),
      "v_head.summary.weight": float32([1, config.hiddenSize], new Float32Array(config.hiddenSize).fill(0.1)),
      "v_head.summary.bias": float32([1], [0.5]),
    });
  };
  const attached = await gradientsOf(false);
  const { rows, whole } = await gradientsOf(true);
  const sum = Float32Array.from(whole?.data ?? []);
  ids.forEach((id, t) => {
    for (let i = 0; i < config.hiddenSize; i++) {
      const at = id * config.hiddenSize + i;
      sum[at] = (sum[at] ?? 0) + (rows?.data[t * config.hiddenSize + i] ?? Number.NaN);
    }
  });
  closeTo(sum, attached.whole?.data ?? [], { abs: 1e-5 }, "gradient of the table");
});

test("few rows and many rows take different ways to the same product", async () => {
  const random = stream(3, "product", 0, 0);
  const some = (...shape: number[]) =>
    float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    );
  const weight = some(520, 512);
  for (const rows of [1, 2, 32, 33]) {
    const x = some(rows, 512);
    const graph = new Graph();
    const { y } = await run(
      program({ y: product(graph.input("x", "float32", [rows, 512]), graph.input("w", "float32", [520, 512])) }),
      { x, w: weight },
    );
    const expected = Float32Array.from({ length: rows * 520 }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < 512; k++)
        sum += (x.data[Math.floor(i / 520) * 512 + k] ?? 0) * (weight.data[(i % 520) * 512 + k] ?? 0);
      return sum;
    });
    assert.deepEqual(y?.shape, [rows, 520]);
    closeTo(y?.data ?? [], expected, { abs: 2e-4 }, `${rows} rows`);
  }
});

test("two models live in one graph under a prefix; unknown parameters are refused", async () => {
  const { config } = await loadModel("test/golden/models/gpt2");
  const graph = new Graph();
  const [policy, reference] = [weightsOf(graph, config), weightsOf(graph, config, "causal-lm", "reference.")];
  assert.notEqual(policy("transformer.ln_f.weight"), reference("transformer.ln_f.weight"));
  assert.throws(() => policy("lm_head.weight"), /a gpt2 \(causal-lm\) has no parameter "lm_head\.weight"/);
  assert.ok(!parameterShapes(config).has("lm_head.weight"));
});
