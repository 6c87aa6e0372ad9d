import { add, gather, gatherElements, logSoftmax, reshape } from "../graph/ops.js";
import type { Value } from "../graph/value.js";
import { headName, type ModelConfig } from "./config.js";
import { product, type Weights } from "./transformer.js";

/** Logits [.., V] of hidden states [.., D]. Costs more than several layers: give it only the rows that are needed. */
export function lmHead(config: ModelConfig, weights: Weights, hidden: Value): Value {
  return product(hidden, weights(headName(config)));
}

/** One value per hidden state: [.., D] to [..]. */
export function valueHead(weights: Weights, hidden: Value): Value {
  const values = add(product(hidden, weights("v_head.summary.weight")), weights("v_head.summary.bias"));
  return reshape(values, hidden.shape.slice(0, -1));
}

/** A reward model's score per hidden state: [.., D] to [..]. A sequence's score is that of its last token. */
export function scoreHead(weights: Weights, hidden: Value): Value {
  return reshape(product(hidden, weights("score.weight")), hidden.shape.slice(0, -1));
}

/**
 * Chosen rows of hidden states: [B, T, D] and N int32 indices b * T + t give [N, D].
 */
export function selectRows(hidden: Value, rows: Value): Value {
  return gather(reshape(hidden, [-1, hidden.shape.at(-1) ?? 1]), rows);
}

/** Log-probability of one token per row: logits [.., V] and int32 ids [..] give [..]. */
export function tokenLogprobs(logits: Value, ids: Value): Value {
  const picked = gatherElements(logSoftmax(logits), reshape(ids, [...ids.shape, 1]));
  return reshape(picked, ids.shape);
}
