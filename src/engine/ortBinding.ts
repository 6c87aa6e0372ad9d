import type * as ort from "onnxruntime-node";
import { encode, onnxInputName, onnxOutputName } from "../graph/encode.js";
import type { Program } from "../graph/program.js";
import { type DType, type Tensor, tensor } from "../tensor.js";
import {
  checkedInputs,
  checkedOutputs,
  type Engine,
  EngineError,
  type Executable,
  type RunOptions,
  type Tensors,
} from "./engine.js";

/**
 * onnxruntime through the JavaScript binding of its package: for machines where the C API cannot be reached. Outputs are
 * copied once more than needed, the event loop stands still during a run, and an abort is seen only between runs.
 */
export function ortBindingEngine({ threads }: { readonly threads: number }): Engine {
  return {
    name: "onnxruntime binding",
    async compile(program) {
      try {
        const { InferenceSession, Tensor } = await import("onnxruntime-node");
        const session = await InferenceSession.create(encode(program), {
          executionProviders: ["cpu"],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          executionMode: "sequential",
          logSeverityLevel: 3,
          // A memory pattern is planned in the second run, in a new block beside the one the first run used: for a
          // training step of a 135M model that is 1.2 GB for no gain in speed.
          enableMemPattern: false,
          // Threads that spin between operations slow every other session down.
          extra: { session: { intra_op: { allow_spinning: "0" } } },
        });
        return new BindingExecutable(program, session, Tensor);
      } catch (cause) {
        throw new EngineError(`onnxruntime refuses the program: ${messageOf(cause)}`, { cause });
      }
    },
  };
}

class BindingExecutable implements Executable {
  #session: ort.InferenceSession | undefined;
  readonly #tensor: ort.TensorConstructor;

  constructor(
    readonly program: Program,
    session: ort.InferenceSession,
    makeTensor: ort.TensorConstructor,
  ) {
    this.#session = session;
    this.#tensor = makeTensor;
  }

  async run(inputs: Tensors, { signal, outputs }: RunOptions = {}): Promise<Record<string, Tensor>> {
    signal?.throwIfAborted();
    const session = this.#session;
    if (session === undefined) throw new EngineError("the program was disposed and cannot run");
    const feeds: Record<string, ort.Tensor> = {};
    for (const [name, input] of checkedInputs(this.program, inputs)) {
      feeds[onnxInputName(name)] = new this.#tensor(input.dtype, input.data, input.shape);
    }
    const names = checkedOutputs(this.program, outputs);
    let fetched: Awaited<ReturnType<typeof session.run>>;
    try {
      fetched = await session.run(feeds, names.map(onnxOutputName));
    } catch (cause) {
      throw new EngineError(`onnxruntime failed to run the program: ${messageOf(cause)}`, { cause });
    }
    signal?.throwIfAborted();
    return Object.fromEntries(names.map((name) => [name, this.#result(name, fetched[onnxOutputName(name)])]));
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  #result(name: string, result: ort.OnnxValue | undefined): Tensor {
    const value = this.program.outputs.get(name);
    if (result === undefined || value === undefined) throw new EngineError(`onnxruntime returned no output "${name}"`);
    return withDType(value.dtype, value.shape, result.data);
  }
}

function withDType(dtype: DType, shape: readonly number[], data: unknown): Tensor {
  if (dtype === "float32" && data instanceof Float32Array) return tensor(dtype, shape, data);
  if (dtype === "int32" && data instanceof Int32Array) return tensor(dtype, shape, data);
  if (dtype === "bool" && data instanceof Uint8Array) return tensor(dtype, shape, data);
  throw new EngineError(`onnxruntime returned something else than ${dtype}`);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
