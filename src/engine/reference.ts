import type { Program } from "../graph/program.js";
import type { Value } from "../graph/value.js";
import { type Tensor, tensor } from "../tensor.js";
import {
  checkedInputs,
  checkedOutputs,
  type Engine,
  EngineError,
  type Executable,
  type RunOptions,
  type Tensors,
} from "./engine.js";
import { type Elements, evaluateNode } from "./evaluate.js";

/**
 * The engine that defines what programs mean: plain loops in float64, slow, with no optimisation. Results are rounded
 * to float32 at the end.
 */
export function referenceEngine(): Engine {
  return { name: "reference", compile: async (program) => new ReferenceExecutable(program) };
}

class ReferenceExecutable implements Executable {
  #disposed = false;

  constructor(readonly program: Program) {}

  async run(inputs: Tensors, { signal, outputs }: RunOptions = {}): Promise<Record<string, Tensor>> {
    signal?.throwIfAborted();
    if (this.#disposed) throw new EngineError("the program was disposed and cannot run");
    const elements = new Map<string, Elements>();
    for (const [name, { shape, data }] of checkedInputs(this.program, inputs)) {
      elements.set(name, { shape, data: Float64Array.from(data) });
    }
    const names = checkedOutputs(this.program, outputs);
    const results = evaluate(this.program, elements);
    await new Promise(setImmediate);
    signal?.throwIfAborted();
    return Object.fromEntries(names.map((name) => [name, rounded(this.program, name, results.get(name))]));
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
  }
}

/** Runs a program on float64 inputs and gives all its outputs in float64. Every input of the program must be there. */
export function evaluate(program: Program, inputs: ReadonlyMap<string, Elements>): Map<string, Elements> {
  const known = new Map<Value, Elements>();
  for (const value of program.values) {
    const operands = value.node.inputs.map((input) => found(known.get(input), input.toString()));
    if (value.node.op === "Input") {
      const { name } = value.node.attributes;
      known.set(value, found(inputs.get(name), `input "${name}"`));
    } else known.set(value, evaluateNode(value.node, value.shape, operands));
  }
  return new Map([...program.outputs].map(([name, value]) => [name, found(known.get(value), name)]));
}

function found(elements: Elements | undefined, what: string): Elements {
  if (elements === undefined) throw new EngineError(`${what} has no elements`);
  return elements;
}

function rounded(program: Program, name: string, elements: Elements | undefined): Tensor {
  const value = program.outputs.get(name);
  if (value === undefined || elements === undefined) throw new EngineError(`the program has no output "${name}"`);
  const { shape, data } = elements;
  switch (value.dtype) {
    case "float32":
      return tensor("float32", shape, Float32Array.from(data));
    case "int32":
      return tensor("int32", shape, Int32Array.from(data));
    case "bool":
      return tensor("bool", shape, Uint8Array.from(data));
  }
}
