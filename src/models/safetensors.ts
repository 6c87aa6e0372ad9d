import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { type Params, sizeOf, type Tensor, tensor } from "../tensor.js";
import { halfToFloat } from "./float16.js";

/** What the header of a safetensors file says of one tensor. */
interface Entry {
  readonly dtype: keyof typeof bytesPer;
  readonly shape: readonly number[];
  /** First byte and byte after the last, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

const bytesPer = { F32: 4, F16: 2, BF16: 2 } as const;
/** The format's own limit on its header. */
const maxHeader = 100_000_000;
const advice = "The file is damaged or not a safetensors file: fetch it again.";

/**
 * Reads the tensors of a safetensors file as float32 (F32, F16 and BF16 are understood).
 * @param wanted reads only tensors whose name it accepts.
 * @throws Error naming the file, the tensor and the remedy, for a file that is truncated or corrupt or holds another type.
 */
export async function readSafetensors(
  file: string,
  { wanted = () => true, signal }: { wanted?: (name: string) => boolean; signal?: AbortSignal | undefined } = {},
): Promise<Map<string, Tensor<"float32">>> {
  const handle = await open(file, "r");
  try {
    const { entries, dataStart } = await readHeader(handle, file);
    const params = new Map<string, Tensor<"float32">>();
    for (const [name, entry] of entries) {
      if (!wanted(name)) continue;
      signal?.throwIfAborted();
      const bytes = new Uint8Array(entry.end - entry.begin);
      await readFully(handle, bytes, dataStart + entry.begin, `${file}: tensor "${name}"`);
      params.set(name, tensor("float32", entry.shape, toFloat32(entry.dtype, bytes)));
    }
    return params;
  } finally {
    await handle.close();
  }
}

/** Names, shapes and free text (`__metadata__`) of a safetensors file, without reading its tensors. */
export async function readSafetensorsHeader(
  file: string,
): Promise<{ shapes: Map<string, readonly number[]>; metadata: Readonly<Record<string, string>> }> {
  const handle = await open(file, "r");
  try {
    const { entries, metadata } = await readHeader(handle, file);
    return { shapes: new Map([...entries].map(([name, entry]) => [name, entry.shape])), metadata };
  } finally {
    await handle.close();
  }
}

/**
 * Writes tensors as a safetensors file of float32, in the map's order, and waits until it is on the disk.
 * The file appears half written while this runs: write to a temporary name and rename.
 */
export async function writeSafetensors(
  file: string,
  params: Params,
  {
    metadata = { format: "pt" },
    signal,
  }: { metadata?: Readonly<Record<string, string>>; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { shape, data }] of params) {
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  // The data starts at a multiple of 8 bytes, as the format asks; spaces are legal JSON.
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, 0x20);
  json.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const handle = await open(file, "w");
  try {
    await writeFully(handle, length);
    await writeFully(handle, padded);
    for (const { data } of params.values()) {
      signal?.throwIfAborted();
      await writeFully(handle, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const headerSchema = z.record(
  z.string(),
  z.object({
    dtype: z.string(),
    shape: z.array(z.int().min(0)),
    data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
  }),
);
const metadataSchema = z.record(z.string(), z.string());

async function readHeader(handle: FileHandle, file: string) {
  const { size: fileSize } = await handle.stat();
  if (fileSize < 8) throw new Error(`${file}: ${fileSize} bytes are too few for a safetensors file. ${advice}`);
  const lengthBytes = new Uint8Array(8);
  await readFully(handle, lengthBytes, 0, file);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  if (length > BigInt(Math.min(maxHeader, fileSize - 8))) {
    throw new Error(`${file}: the header says it is ${length} bytes long, the file has ${fileSize}. ${advice}`);
  }
  const headerBytes = new Uint8Array(Number(length));
  await readFully(handle, headerBytes, 8, file);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(headerBytes));
  } catch (error) {
    throw new Error(`${file}: the header is not JSON (${(error as Error).message}). ${advice}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error(`${file}: the header is not a JSON object. ${advice}`);
  }
  const { __metadata__: rawMetadata = {}, ...rest } = json as Record<string, unknown>;
  const metadata = metadataSchema.safeParse(rawMetadata);
  const parsed = headerSchema.safeParse(rest);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const [name, ...path] = issue?.path.map(String) ?? [];
    throw new Error(`${file}: tensor "${name}": ${path.join(".") || "the entry"}: ${issue?.message}. ${advice}`);
  }
  const dataSize = fileSize - 8 - headerBytes.length;
  const entries = new Map<string, Entry>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(parsed.data)) {
    entries.set(name, checkedEntry(name, dtype, shape, data_offsets, dataSize, file));
  }
  checkOverlaps(entries, file);
  return { entries, metadata: metadata.success ? metadata.data : {}, dataStart: 8 + headerBytes.length };
}

function checkedEntry(
  name: string,
  dtype: string,
  shape: readonly number[],
  [begin, end]: readonly [number, number],
  dataSize: number,
  file: string,
): Entry {
  const what = `${file}: tensor "${name}"`;
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new Error(`${what} has type ${dtype}; F32, F16 and BF16 can be read. Convert the model to one of these.`);
  }
  if (begin > end || end > dataSize) {
    throw new Error(
      `${what} lies at bytes ${begin} to ${end} of the ${dataSize} bytes of data that the file has. ${advice}`,
    );
  }
  if (sizeOf(shape) * bytesPer[dtype] !== end - begin) {
    throw new Error(
      `${what}: ${dtype} of shape [${shape.join(", ")}] does not take the ${end - begin} bytes it is given. ${advice}`,
    );
  }
  return { dtype, shape, begin, end };
}

function checkOverlaps(entries: ReadonlyMap<string, Entry>, file: string): void {
  const byStart = [...entries].filter(([, { begin, end }]) => begin < end).sort(([, a], [, b]) => a.begin - b.begin);
  let previous: { name: string; end: number } = { name: "", end: 0 };
  for (const [name, { begin, end }] of byStart) {
    if (begin < previous.end) {
      throw new Error(`${file}: tensors "${previous.name}" and "${name}" overlap. ${advice}`);
    }
    previous = { name, end };
  }
}

function toFloat32(dtype: Entry["dtype"], bytes: Uint8Array): Float32Array {
  if (dtype === "F32") return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  if (dtype === "BF16") {
    const bits = new Uint32Array(halves.length);
    for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] ?? 0) << 16;
    return new Float32Array(bits.buffer);
  }
  const table = halfToFloat();
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = table[halves[i] ?? 0] ?? 0;
  return values;
}

/** One system call moves at most 2 GB. */
const chunk = 1 << 30;

async function readFully(handle: FileHandle, bytes: Uint8Array, position: number, what: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(chunk, bytes.length - done), position + done);
    if (bytesRead === 0) throw new Error(`${what}: the file ends too early. ${advice}`);
    done += bytesRead;
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(chunk, bytes.length - done));
    done += bytesWritten;
  }
}
