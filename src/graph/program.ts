import type { DType } from "../tensor.js";
import { GraphError, type Value } from "./value.js";

/** A named input that a program expects. */
export interface ProgramInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** What an engine compiles: named outputs and every value they need, operands first. */
export interface Program {
  readonly inputs: readonly ProgramInput[];
  readonly outputs: ReadonlyMap<string, Value>;
  readonly values: readonly Value[];
}

/**
 * A program that computes the outputs. Its inputs are the graph inputs that the outputs depend on; whatever they do
 * not depend on is left out.
 * @throws GraphError if there is no output, or outputs live in different graphs.
 */
export function program(outputs: Readonly<Record<string, Value>>): Program {
  const entries = Object.entries(outputs);
  const [first] = entries;
  if (first === undefined) throw new GraphError("a program needs at least one output");
  for (const [name, value] of entries) {
    if (value.graph !== first[1].graph)
      throw new GraphError(`outputs "${first[0]}" and "${name}" live in different graphs`);
  }
  const values = [...dependencies(entries.map(([, value]) => value))].sort((a, b) => a.id - b.id);
  const inputs = values.flatMap(({ node }) => (node.op === "Input" ? [node.attributes] : []));
  return { inputs, outputs: new Map(entries), values };
}

/** The values and everything that they are computed from. */
export function dependencies(values: Iterable<Value>): Set<Value> {
  const found = new Set<Value>();
  const pending = [...values];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (found.has(value)) continue;
    found.add(value);
    pending.push(...value.node.inputs);
  }
  return found;
}
