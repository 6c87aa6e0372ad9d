import { writeFileSync } from "node:fs";

/** A GGUF metadata value with its type spelled out. */
export type GgufField =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

export interface GgufTensor {
  /** Outermost first. */
  readonly shape: readonly number[];
  /** The GGML type's number: 0 is F32. */
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** A float32 tensor as GGUF holds it. */
export function f32Tensor(shape: readonly number[], data: Float32Array): GgufTensor {
  return { shape, type: 0, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** Writes a GGUF file, version 3. */
export function writeGguf(
  file: string,
  metadata: Readonly<Record<string, GgufField>>,
  tensors: Readonly<Record<string, GgufTensor>>,
): void {
  const parts: Uint8Array[] = [
    Buffer.from("GGUF"),
    u32(3),
    u64(Object.keys(tensors).length),
    u64(Object.keys(metadata).length),
  ];
  for (const [key, field] of Object.entries(metadata)) parts.push(text(key), ...encode(field));
  let offset = 0;
  for (const [name, { shape, type, bytes }] of Object.entries(tensors)) {
    parts.push(text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(type), u64(offset));
    offset += Math.ceil(bytes.length / 32) * 32;
  }
  const header = Buffer.concat(parts);
  const data = Object.values(tensors).flatMap(({ bytes }) => [bytes, new Uint8Array((32 - (bytes.length % 32)) % 32)]);
  writeFileSync(file, Buffer.concat([header, new Uint8Array((32 - (header.length % 32)) % 32), ...data]));
}

function encode(field: GgufField): Uint8Array[] {
  if ("u32" in field) return [u32(4), u32(field.u32)];
  if ("f32" in field) return [u32(6), f32(field.f32)];
  if ("bool" in field) return [u32(7), Uint8Array.of(field.bool ? 1 : 0)];
  if ("text" in field) return [u32(8), text(field.text)];
  if ("texts" in field) return [u32(9), u32(8), u64(field.texts.length), ...field.texts.map(text)];
  if ("i32s" in field) return [u32(9), u32(5), u64(field.i32s.length), ...field.i32s.map(u32)];
  return [u32(9), u32(6), u64(field.f32s.length), ...field.f32s.map(f32)];
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}
