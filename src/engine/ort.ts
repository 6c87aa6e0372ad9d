import { encode, onnxInputName, onnxOutputName } from "../graph/encode.js";
import type { Program } from "../graph/program.js";
import { type DType, type Storage, sizeOf, type Tensor, tensor } from "../tensor.js";
import {
  checkedInputs,
  checkedOutputs,
  type Engine,
  EngineError,
  type Executable,
  type RunOptions,
  type Tensors,
} from "./engine.js";
import { ortBindingEngine } from "./ortBinding.js";
import { type Handle, type NameList, nameList, type OrtLibrary, ortLibrary } from "./ortLibrary.js";

export interface OrtOptions {
  /** Threads inside one operation; by default what the environment variable POLICYSCOPE_THREADS says, else 2. */
  readonly threads?: number;
  /** How onnxruntime is called: its C API where that can be reached (the default), or the package's JavaScript binding. */
  readonly through?: "c-api" | "binding";
  /** Prefix of a file to write a trace to, one entry per operation and run; for studies. Needs the C API. */
  readonly profile?: string;
}

/**
 * The engine that runs programs natively, with onnxruntime on the CPU. Runs of one engine take turns; through the C API
 * the event loop goes on meanwhile and an abort ends a run under way.
 */
export function ortEngine({ threads = defaultThreads(), through, profile }: OrtOptions = {}): Engine {
  if (through === "binding") return ortBindingEngine({ threads });
  const library = ortLibrary();
  if (library instanceof Error) {
    if (through === undefined) return ortBindingEngine({ threads });
    throw new EngineError(`onnxruntime's C API cannot be reached: ${library.message}`, { cause: library });
  }
  const turns = new Turns();
  return {
    name: "onnxruntime",
    async compile(program) {
      try {
        const session = await library.createSession(encode(program), { threads, entries: sessionEntries, profile });
        return new OrtExecutable(library, program, session, turns);
      } catch (cause) {
        throw new EngineError(`onnxruntime refuses the program: ${messageOf(cause)}`, { cause });
      }
    },
  };
}

function defaultThreads(): number {
  const text = process.env.POLICYSCOPE_THREADS;
  if (text === undefined || text === "") return 2;
  const threads = Number(text);
  if (Number.isInteger(threads) && threads >= 1) return threads;
  throw new EngineError(`the environment variable POLICYSCOPE_THREADS is "${text}"; expected a whole number from 1 on`);
}

const sessionEntries = {
  // Threads that spin between operations slow every other session down.
  "session.intra_op.allow_spinning": "0",
};

/** Lets one run at a time through. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** Sessions whose executable was forgotten instead of disposed. */
const forgotten = new FinalizationRegistry<{ library: OrtLibrary; session: Handle }>(({ library, session }) => {
  library.releaseSession(session);
});

class OrtExecutable implements Executable {
  readonly #library: OrtLibrary;
  readonly #turns: Turns;
  readonly #inputNames: NameList;
  readonly #shapes: ReadonlyMap<string, BigInt64Array>;
  /** Arrays that native code reads or writes now, so that they are not collected. */
  readonly #inUse = new Set<object>();
  #session: Handle | undefined;

  constructor(
    library: OrtLibrary,
    readonly program: Program,
    session: Handle,
    turns: Turns,
  ) {
    this.#library = library;
    this.#turns = turns;
    this.#session = session;
    this.#inputNames = nameList(program.inputs.map(({ name }) => onnxInputName(name)));
    const shapes = [...program.inputs.map(({ name, shape }) => [onnxInputName(name), shape] as const)];
    for (const [name, { shape }] of program.outputs) shapes.push([onnxOutputName(name), shape]);
    this.#shapes = new Map(shapes.map(([name, shape]) => [name, BigInt64Array.from(shape, BigInt)]));
    forgotten.register(this, { library, session }, this);
  }

  async run(inputs: Tensors, { signal, outputs, allocate }: RunOptions = {}): Promise<Record<string, Tensor>> {
    signal?.throwIfAborted();
    if (this.#session === undefined) throw new EngineError("the program was disposed and cannot run");
    const given = checkedInputs(this.program, inputs);
    const names = checkedOutputs(this.program, outputs);
    const results = names.map((name): [string, Tensor] => [name, this.#newResult(name, allocate)]);
    await this.#turns.take(() => this.#runNow(given, results, signal));
    signal?.throwIfAborted();
    return Object.fromEntries(results);
  }

  async dispose(): Promise<void> {
    await this.#turns.take(async () => {
      if (this.#session === undefined) return;
      forgotten.unregister(this);
      this.#library.releaseSession(this.#session);
      this.#session = undefined;
    });
  }

  async #runNow(
    inputs: readonly [string, Tensor][],
    outputs: readonly [string, Tensor][],
    signal: AbortSignal | undefined,
  ) {
    signal?.throwIfAborted();
    const session = this.#session;
    if (session === undefined) throw new EngineError("the program was disposed and cannot run");
    const library = this.#library;
    const outputNames = nameList(outputs.map(([name]) => onnxOutputName(name)));
    const tensors: Handle[] = [];
    const inUse: object[] = [inputs, outputs, outputNames];
    this.#inUse.add(inUse);
    const wrap = (name: string, { dtype, data }: Tensor): Handle => {
      // An empty array has no address; nothing is read from or written to this one.
      const memory = data.length === 0 ? new Uint8Array(64).subarray(0, 0) : data;
      const shape = this.#shapes.get(name) ?? new BigInt64Array(0);
      const handle = library.createTensor(memory, shape, elementTypes[dtype]);
      tensors.push(handle);
      return handle;
    };
    const runOptions = library.createRunOptions();
    const stop = () => library.terminate(runOptions);
    try {
      const fed = BigUint64Array.from(inputs, ([name, input]) => wrap(onnxInputName(name), input));
      const fetched = BigUint64Array.from(outputs, ([name, output]) => wrap(onnxOutputName(name), output));
      inUse.push(fed, fetched);
      signal?.addEventListener("abort", stop);
      await library.run(
        session,
        runOptions,
        { names: this.#inputNames, tensors: fed },
        { names: outputNames, tensors: fetched },
      );
    } catch (cause) {
      signal?.throwIfAborted();
      throw new EngineError(`onnxruntime failed to run the program: ${messageOf(cause)}`, { cause });
    } finally {
      signal?.removeEventListener("abort", stop);
      for (const handle of tensors) library.releaseTensor(handle);
      library.releaseRunOptions(runOptions);
      this.#inUse.delete(inUse);
    }
  }

  #newResult(name: string, allocate: RunOptions["allocate"]): Tensor {
    const value = this.program.outputs.get(name);
    if (value === undefined) throw new EngineError(`the program has no output "${name}"`);
    const size = sizeOf(value.shape);
    if (value.dtype === "float32" && allocate !== undefined)
      return tensor("float32", value.shape, allocate(size, name));
    return tensor(value.dtype, value.shape, newStorage[value.dtype](size));
  }
}

const newStorage: { readonly [D in DType]: (size: number) => Storage[D] } = {
  float32: (size) => new Float32Array(size),
  int32: (size) => new Int32Array(size),
  bool: (size) => new Uint8Array(size),
};

/** ONNXTensorElementDataType */
const elementTypes: { readonly [D in DType]: number } = { float32: 1, int32: 6, bool: 9 };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
