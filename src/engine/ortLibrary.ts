import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import koffi from "koffi";

/** A native object of onnxruntime, by address. */
export type Handle = bigint;

/** What the C API says instead of null when a call fails. */
export class OrtError extends Error {
  override name = "OrtError";
}

/**
 * The part of onnxruntime's C API that running programs needs, in the shared library that the package onnxruntime-node
 * brings. The package's own JavaScript binding copies every output into new memory, blocks the event loop while it runs
 * and cannot be interrupted; through the C API outputs are written where we say, on another thread, until we say stop.
 * Every call throws {@link OrtError} with the library's message if it fails.
 */
export interface OrtLibrary {
  readonly version: string;
  /** Loads a model on another thread. The bytes must stay unchanged meanwhile. */
  createSession(model: Uint8Array, options: SessionSettings): Promise<Handle>;
  releaseSession(session: Handle): void;
  /** A tensor over memory that the caller keeps alive and in place. */
  createTensor(data: ArrayBufferView, shape: BigInt64Array, type: number): Handle;
  releaseTensor(tensor: Handle): void;
  createRunOptions(): Handle;
  /** Makes the run with these options fail soon. */
  terminate(runOptions: Handle): void;
  releaseRunOptions(runOptions: Handle): void;
  /** Runs on another thread. Everything passed must live until it ends. */
  run(session: Handle, runOptions: Handle, inputs: Named, outputs: Named): Promise<void>;
}

export interface SessionSettings {
  readonly threads: number;
  readonly entries: Readonly<Record<string, string>>;
  /** Writes a trace of every operation's time to a file with this prefix when the session is released. */
  readonly profile: string | undefined;
}

/** Tensors and their names, in one order. */
export interface Named {
  readonly names: NameList;
  readonly tensors: BigUint64Array;
}

/** C strings, and the array of pointers to them. */
export interface NameList {
  readonly pointers: BigUint64Array;
  /** Keeps the characters alive. */
  readonly characters: Uint8Array;
}

/** Names as the C API takes them. */
export function nameList(names: readonly string[]): NameList {
  const encoded = names.map((name) => new TextEncoder().encode(`${name}\0`));
  const characters = new Uint8Array(
    Math.max(
      64,
      encoded.reduce((size, name) => size + name.length, 1),
    ),
  );
  const base = koffi.address(characters.buffer);
  let offset = 0;
  const pointers = encoded.map((name) => {
    characters.set(name, offset);
    offset += name.length;
    return base + BigInt(offset - name.length);
  });
  return { pointers: BigUint64Array.from(pointers), characters };
}

/** The library that belongs to this platform, loaded once per process, or the error that says why it cannot be called. */
export function ortLibrary(): OrtLibrary | Error {
  if (loaded === undefined) {
    try {
      loaded = load(libraryPath());
    } catch (error) {
      loaded = error instanceof Error ? error : new OrtError(String(error));
    }
  }
  return loaded;
}

let loaded: OrtLibrary | Error | undefined;

function libraryPath(): string {
  const entry = createRequire(import.meta.url).resolve("onnxruntime-node");
  const folder = join(dirname(entry), "..", "bin", "napi-v6", process.platform, process.arch);
  const names = { linux: "libonnxruntime.so.1", darwin: "libonnxruntime.1.dylib", win32: "onnxruntime.dll" };
  const name = Object.hasOwn(names, process.platform) ? names[process.platform as keyof typeof names] : undefined;
  if (name === undefined || !existsSync(join(folder, name)))
    throw new OrtError(`no onnxruntime for this platform in ${folder}`);
  return join(folder, name);
}

/** Version of the C API whose functions are used here; later libraries serve it too. */
const API_VERSION = 20;

/** Position of each function in the library's table, which only ever grows at its end, and its C declaration. */
const declarations = {
  getErrorMessage: [2, "const char *f(void *status)"],
  createEnv: [3, "void *f(int severity, const char *name, void *out)"],
  createSessionFromArray: [8, "void *f(void *env, void *model, size_t size, void *options, void *out)"],
  run: [
    9,
    "void *f(void *session, void *options, void *inputNames, void *inputs, size_t inputCount, void *outputNames, size_t outputCount, void *outputs)",
  ],
  createSessionOptions: [10, "void *f(void *out)"],
  enableProfiling: [
    14,
    process.platform === "win32"
      ? "void *f(void *options, const char16_t *prefix)"
      : "void *f(void *options, const char *prefix)",
  ],
  disableMemPattern: [17, "void *f(void *options)"],
  setSessionLogSeverityLevel: [22, "void *f(void *options, int level)"],
  setIntraOpNumThreads: [24, "void *f(void *options, int count)"],
  setInterOpNumThreads: [25, "void *f(void *options, int count)"],
  createRunOptions: [39, "void *f(void *out)"],
  runOptionsSetTerminate: [46, "void *f(void *options)"],
  createTensorWithData: [
    49,
    "void *f(void *info, void *data, size_t size, void *shape, size_t rank, int type, void *out)",
  ],
  createCpuMemoryInfo: [69, "void *f(int allocator, int memory, void *out)"],
  releaseStatus: [93, "void f(void *status)"],
  releaseSession: [95, "void f(void *session)"],
  releaseValue: [96, "void f(void *value)"],
  releaseRunOptions: [97, "void f(void *options)"],
  releaseSessionOptions: [100, "void f(void *options)"],
  addSessionConfigEntry: [130, "void *f(void *options, const char *key, const char *value)"],
  createAndRegisterAllocator: [144, "void *f(void *env, void *info, void *config)"],
  createArenaConfig: [156, "void *f(size_t limit, int strategy, int firstChunk, int deadBytes, void *out)"],
} as const satisfies Record<string, readonly [position: number, declaration: string]>;

type NativeArgument = bigint | number | string | ArrayBufferView | null;
interface NativeFunction {
  (...args: NativeArgument[]): unknown;
  async(...args: (NativeArgument | ((error: unknown, result: unknown) => void))[]): void;
}

/** A library is unloaded when its handle is collected, whatever addresses into it are still known. */
const handles: object[] = [];

/** Native code on another thread runs on a stack of this size; onnxruntime walks deep graphs recursively. */
const STACK_BYTES = 16 * 1024 * 1024;

function load(path: string): OrtLibrary {
  koffi.config({ async_stack_size: STACK_BYTES, resident_async_pools: 1 });
  const handle = koffi.load(path);
  handles.push(handle);
  const base: unknown = handle.func("void *OrtGetApiBase()")();
  const [getApi, getVersion] = pointers(base, 2);
  const table: unknown = koffi.decode(getApi, koffi.proto("void *OrtGetApi(uint32_t version)"))(API_VERSION);
  const version: unknown = koffi.decode(getVersion, koffi.proto("const char *OrtGetVersion()"))();
  if (typeof table !== "bigint" || typeof version !== "string")
    throw new OrtError(`${path} does not know version ${API_VERSION} of the API`);
  const positions = pointers(table, 160);
  const native = Object.fromEntries(
    Object.entries(declarations).map(([name, [position, declaration]]) => [
      name,
      koffi.decode(
        positions[position],
        koffi.proto(declaration.replace(" *f(", ` *Ort_${name}(`).replace(" f(", ` Ort_${name}(`)),
      ) as unknown,
    ]),
  ) as Record<keyof typeof declarations, NativeFunction>;

  const check = (status: unknown): void => {
    if (status === null) return;
    if (typeof status !== "bigint") throw new OrtError("onnxruntime returned no status");
    const message = String(native.getErrorMessage(status));
    native.releaseStatus(status);
    throw new OrtError(message);
  };
  const created = (make: (out: BigUint64Array) => unknown): Handle => {
    const out = new BigUint64Array(1);
    check(make(out));
    return out[0] ?? 0n;
  };
  const finished = (call: (done: (error: unknown, status: unknown) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      call((error, status) => {
        if (error) return reject(error);
        try {
          check(status);
          resolve();
        } catch (refusal) {
          reject(refusal);
        }
      });
    });

  const env = created((out) => native.createEnv(LogLevel.error, "policyscope", out));
  const callerMemory = created((out) => native.createCpuMemoryInfo(Allocator.device, 0, out));
  // One arena for all sessions: programs that take turns share their scratch memory.
  const arenaMemory = created((out) => native.createCpuMemoryInfo(Allocator.arena, 0, out));
  const arena = created((out) => native.createArenaConfig(0, ArenaGrowth.asRequested, -1, -1, out));
  check(native.createAndRegisterAllocator(env, arenaMemory, arena));

  return {
    version,
    async createSession(model, { threads, entries, profile }) {
      const options = created((out) => native.createSessionOptions(out));
      try {
        check(native.setIntraOpNumThreads(options, threads));
        check(native.setInterOpNumThreads(options, 1));
        check(native.setSessionLogSeverityLevel(options, LogLevel.error));
        check(native.disableMemPattern(options));
        if (profile !== undefined) check(native.enableProfiling(options, profile));
        for (const [key, value] of Object.entries({ "session.use_env_allocators": "1", ...entries })) {
          check(native.addSessionConfigEntry(options, key, value));
        }
        const out = new BigUint64Array(1);
        await finished((done) => native.createSessionFromArray.async(env, model, model.byteLength, options, out, done));
        return out[0] ?? 0n;
      } finally {
        native.releaseSessionOptions(options);
      }
    },
    releaseSession: (session) => void native.releaseSession(session),
    createTensor: (data, shape, type) =>
      created((out) =>
        native.createTensorWithData(callerMemory, data, data.byteLength, shape, shape.length, type, out),
      ),
    releaseTensor: (tensor) => void native.releaseValue(tensor),
    createRunOptions: () => created((out) => native.createRunOptions(out)),
    terminate: (runOptions) => check(native.runOptionsSetTerminate(runOptions)),
    releaseRunOptions: (runOptions) => void native.releaseRunOptions(runOptions),
    run: (session, runOptions, inputs, outputs) =>
      finished((done) =>
        native.run.async(
          session,
          runOptions,
          inputs.names.pointers,
          inputs.tensors,
          inputs.tensors.length,
          outputs.names.pointers,
          outputs.tensors.length,
          outputs.tensors,
          done,
        ),
      ),
  };
}

const LogLevel = { error: 3 } as const;
const Allocator = { device: 0, arena: 1 } as const;
const ArenaGrowth = { asRequested: 1 } as const;

function pointers(address: unknown, count: number): unknown[] {
  const decoded: unknown = koffi.decode(address, koffi.array("void *", count));
  if (!Array.isArray(decoded)) throw new OrtError("onnxruntime's function table cannot be read");
  return decoded;
}
