import { type FileHandle, open } from "node:fs/promises";
import { sizeOf, type Tensor, tensor } from "../tensor.js";
import { type BlockFormat, blockFormats, otherTypeNames } from "./quantization.js";

/** A value in a GGUF file's metadata. 64-bit integers are numbers. */
export type GgufValue = number | boolean | string | readonly GgufValue[];

interface TensorInfo {
  /** Outermost first, as everywhere else here (the file has it innermost first). */
  readonly shape: readonly number[];
  readonly format: BlockFormat;
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly bytes: number;
}

/** A GGUF file whose header was read and checked; tensors are read and dequantised one by one. */
export interface GgufFile extends AsyncDisposable {
  readonly file: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Shapes by the file's own tensor names. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** One tensor as float32. @throws Error for a name that is not in `shapes`, or a file that changed underneath. */
  read(name: string): Promise<Tensor<"float32">>;
  close(): Promise<void>;
}

const advice = "The file is damaged or not a GGUF file: fetch it again.";
/** Headers hold vocabularies: real ones are at most some tens of megabytes. */
const maxHeader = 512 << 20;

/**
 * Opens a GGUF file (versions 2 and 3, little endian).
 * @throws Error naming the file, what is wrong and the remedy; never more memory than the file's size asks for.
 */
export async function openGguf(file: string): Promise<GgufFile> {
  const handle = await open(file, "r");
  try {
    const { metadata, tensors } = await readHeader(handle, file);
    return {
      file,
      metadata,
      shapes: new Map([...tensors].map(([name, { shape }]) => [name, shape])),
      read: async (name) => {
        const info = tensors.get(name);
        if (!info) throw new Error(`${file}: there is no tensor "${name}".`);
        const bytes = await readBytes(handle, info.begin, info.bytes, `${file}: tensor "${name}"`);
        const values = new Float32Array(sizeOf(info.shape));
        info.format.dequantize(bytes, values);
        return tensor("float32", info.shape, values);
      },
      close: () => handle.close(),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Thrown inside this file when a value goes on beyond the bytes read so far. */
class NeedsMore extends Error {}

async function readHeader(handle: FileHandle, file: string) {
  const { size: fileSize } = await handle.stat();
  for (let length = Math.min(fileSize, 4 << 20); ; length = Math.min(fileSize, length * 4)) {
    const bytes = await readBytes(handle, 0, length, file);
    try {
      return parseHeader(bytes, file, fileSize);
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      if (length === fileSize || length >= maxHeader) {
        throw new Error(`${file}: the header goes on beyond the end of the file (${fileSize} bytes). ${advice}`);
      }
    }
  }
}

function parseHeader(bytes: Uint8Array, file: string, fileSize: number) {
  const fail = (what: string): never => {
    throw new Error(`${file}: ${what}. ${advice}`);
  };
  const cursor = new Cursor(bytes, fileSize, fail);
  if (bytes.length < 4 || bytes[0] !== 0x47 || bytes[1] !== 0x47 || bytes[2] !== 0x55 || bytes[3] !== 0x46) {
    fail(`it does not begin with "GGUF"`);
  }
  cursor.skip(4);
  const version = cursor.u32();
  if (version !== 2 && version !== 3)
    fail(`GGUF version ${version} is not 2 or 3 (a big-endian file looks like this, too)`);
  const tensorCount = cursor.count(24, "tensors");
  const keyCount = cursor.count(13, "metadata entries");
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string();
    metadata.set(key, cursor.value(cursor.u32(), 0));
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 1 || alignment > 1 << 20) {
    return fail(`general.alignment is ${String(alignment)}`);
  }
  const raw: { name: string; shape: number[]; type: number; offset: number }[] = [];
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.string();
    const rank = cursor.u32();
    if (rank > 4) fail(`tensor "${name}" has ${rank} dimensions`);
    const shape = Array.from({ length: rank }, () => cursor.u64()).reverse();
    raw.push({ name, shape, type: cursor.u32(), offset: cursor.u64() });
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, TensorInfo>();
  for (const { name, shape, type, offset } of raw) {
    const format = blockFormats.get(type);
    if (!format) {
      const readable = [...blockFormats.values()].map(({ name }) => name).join(", ");
      throw new Error(
        `${file}: tensor "${name}" has type ${otherTypeNames.get(type) ?? `number ${type}`}; ${readable} can be read. Fetch the model in one of these.`,
      );
    }
    const row = shape.at(-1) ?? 1;
    if (row % format.elements !== 0) fail(`tensor "${name}": rows of ${row} are not whole ${format.name} blocks`);
    const byteLength = (sizeOf(shape) / format.elements) * format.bytes;
    const begin = dataStart + offset;
    if (begin + byteLength > fileSize) {
      fail(`tensor "${name}" lies at bytes ${begin} to ${begin + byteLength}, the file has ${fileSize}`);
    }
    tensors.set(name, { shape, format, begin, bytes: byteLength });
  }
  return { metadata, tensors };
}

/** Reads the header's values one after another, and never trusts a count that the file could not hold. */
class Cursor {
  position = 0;
  readonly #view: DataView;
  readonly #decoder = new TextDecoder("utf-8");

  constructor(
    readonly bytes: Uint8Array,
    readonly fileSize: number,
    readonly fail: (what: string) => never,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  skip(length: number): number {
    const start = this.position;
    if (start + length > this.bytes.length) throw new NeedsMore();
    this.position = start + length;
    return start;
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  u64(): number {
    return Number(this.#view.getBigUint64(this.skip(8), true));
  }

  /** A count of things that take at least `minimumBytes` each. */
  count(minimumBytes: number, what: string): number {
    const count = this.u64();
    if (count * minimumBytes > this.fileSize - this.position) this.fail(`it claims ${count} ${what}`);
    return count;
  }

  string(): string {
    const length = this.count(1, "bytes of text");
    const start = this.skip(length);
    return this.#decoder.decode(this.bytes.subarray(start, start + length));
  }

  value(type: number, depth: number): GgufValue {
    const view = this.#view;
    switch (type) {
      case 0:
        return view.getUint8(this.skip(1));
      case 1:
        return view.getInt8(this.skip(1));
      case 2:
        return view.getUint16(this.skip(2), true);
      case 3:
        return view.getInt16(this.skip(2), true);
      case 4:
        return this.u32();
      case 5:
        return view.getInt32(this.skip(4), true);
      case 6:
        return view.getFloat32(this.skip(4), true);
      case 7:
        return view.getUint8(this.skip(1)) !== 0;
      case 8:
        return this.string();
      case 9: {
        const element = this.u32();
        const bytes = elementBytes[element] ?? this.fail(`metadata holds an array of values of type ${element}`);
        if (depth > 3) this.fail("metadata holds arrays nested too deeply");
        const length = this.count(bytes, "array elements");
        const values: GgufValue[] = [];
        for (let i = 0; i < length; i++) values.push(this.value(element, depth + 1));
        return values;
      }
      case 10:
        return this.u64();
      case 11:
        return Number(view.getBigInt64(this.skip(8), true));
      case 12:
        return view.getFloat64(this.skip(8), true);
      default:
        return this.fail(`metadata holds a value of type ${type}`);
    }
  }
}

/** Fewest bytes a value of each type takes, by type number. */
const elementBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

async function readBytes(handle: FileHandle, position: number, length: number, what: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(1 << 30, length - done), position + done);
    if (bytesRead === 0) throw new Error(`${what}: the file ends too early. ${advice}`);
    done += bytesRead;
  }
  return bytes;
}
