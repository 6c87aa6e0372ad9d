import type { Program } from "../graph/program.js";
import type { Tensor } from "../tensor.js";

/** Named tensors. */
export type Tensors = Readonly<Record<string, Tensor>>;

export interface RunOptions {
  /** Aborting makes the run fail with the signal's reason, soon; where the backend cannot stop, when it is through. */
  readonly signal?: AbortSignal;
  /** Names of the outputs to compute; all by default. What is not asked for is not copied out. */
  readonly outputs?: readonly string[];
  /**
   * Where float32 outputs are written, given their element count and name: for callers that reuse big arrays. Contents
   * need not be zero. By default every run has new arrays. A backend may ignore it.
   */
  readonly allocate?: (length: number, name: string) => Float32Array;
}

/** A program made ready to run. */
export interface Executable {
  readonly program: Program;
  /**
   * Runs the program. Inputs that the program does not know are ignored, so that one set of parameters can serve
   * several programs. Input tensors are read in place; output tensors are new.
   * @throws EngineError if an input is missing or has another dtype or shape, or an output is unknown.
   * @throws the signal's reason if it is aborted.
   */
  run(inputs: Tensors, options?: RunOptions): Promise<Record<string, Tensor>>;
  /** Frees native memory. Running afterwards is an error; disposing twice is not. */
  dispose(): Promise<void>;
}

/** Something that can run programs. */
export interface Engine {
  readonly name: string;
  /** @throws EngineError if the backend refuses the program. */
  compile(program: Program): Promise<Executable>;
}

/** A program could not be compiled or run; the message says what is wrong with which input or output. */
export class EngineError extends Error {
  override name = "EngineError";
}

/** The tensors a program asks for, in its order. @throws EngineError naming the first that is missing or does not fit. */
export function checkedInputs(program: Program, inputs: Tensors): [name: string, tensor: Tensor][] {
  return program.inputs.map(({ name, dtype, shape }) => {
    const tensor = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    const expected = `${dtype}[${shape.join(", ")}]`;
    if (tensor === undefined) throw new EngineError(`input "${name}" is missing; expected ${expected}`);
    const fits =
      tensor.dtype === dtype &&
      tensor.shape.length === shape.length &&
      shape.every((dim, axis) => dim === tensor.shape[axis]);
    if (!fits) {
      throw new EngineError(`input "${name}" is ${tensor.dtype}[${tensor.shape.join(", ")}]; expected ${expected}`);
    }
    return [name, tensor];
  });
}

/** The outputs to compute. @throws EngineError if one is unknown. */
export function checkedOutputs(program: Program, names: readonly string[] | undefined): readonly string[] {
  if (names === undefined) return [...program.outputs.keys()];
  for (const name of names) {
    if (!program.outputs.has(name)) {
      throw new EngineError(`the program has no output "${name}"; it has ${[...program.outputs.keys()].join(", ")}`);
    }
  }
  return names;
}
