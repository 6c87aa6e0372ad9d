import type { Graph } from "../../src/graph/graph.js";
import * as op from "../../src/graph/ops.js";
import type { Value } from "../../src/graph/value.js";
import { float32, tensor } from "../../src/tensor.js";
import type { TinyShape } from "./train.js";

/** Hidden states of a Llama network over right-padded rows `[B, T]`: stands in until src/nn does it. */
export function hiddenStates(graph: Graph, shape: TinyShape, ids: Value, weight: (name: string) => Value): Value {
  const [batch = 0, length = 0] = ids.shape;
  const { hiddenSize: d, numHeads: heads, numLayers, ropeTheta } = shape;
  const size = d / heads;
  const angles = Array.from({ length: batch * length * (size / 2) }, (_, i) => {
    const t = Math.floor(i / (size / 2)) % length;
    return t * ropeTheta ** ((-2 * (i % (size / 2))) / size);
  });
  const table = (f: (x: number) => number): Value => graph.constant(float32([batch, length, size / 2], angles.map(f)));
  const cos = table(Math.cos);
  const sin = table(Math.sin);
  const mask = graph.constant(
    tensor(
      "float32",
      [1, 1, length, length],
      Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0)),
    ),
  );
  const linear = (x: Value, name: string): Value => op.fusedMatMul(x, weight(name), { transB: true });
  const headsOf = (x: Value): Value => op.transpose(op.reshape(x, [batch, length, heads, size]), [0, 2, 1, 3]);
  let x = op.gather(weight("model.embed_tokens.weight"), ids);
  for (let layer = 0; layer < numLayers; layer++) {
    const name = (rest: string): string => `model.layers.${layer}.${rest}`;
    const normed = op.rmsNormalization(x, weight(name("input_layernorm.weight")), 1e-5);
    const q = op.rotaryEmbedding(headsOf(linear(normed, name("self_attn.q_proj.weight"))), cos, sin);
    const k = op.rotaryEmbedding(headsOf(linear(normed, name("self_attn.k_proj.weight"))), cos, sin);
    const v = headsOf(linear(normed, name("self_attn.v_proj.weight")));
    const scores = op.add(op.fusedMatMul(q, k, { transB: true, alpha: 1 / Math.sqrt(size) }), mask);
    const mixed = op.reshape(op.transpose(op.matMul(op.softmax(scores), v), [0, 2, 1, 3]), [batch, length, d]);
    x = op.add(x, linear(mixed, name("self_attn.o_proj.weight")));
    const again = op.rmsNormalization(x, weight(name("post_attention_layernorm.weight")), 1e-5);
    const gated = op.mul(
      op.silu(linear(again, name("mlp.gate_proj.weight"))),
      linear(again, name("mlp.up_proj.weight")),
    );
    x = op.add(x, linear(gated, name("mlp.down_proj.weight")));
  }
  return op.rmsNormalization(x, weight("model.norm.weight"), 1e-5);
}
