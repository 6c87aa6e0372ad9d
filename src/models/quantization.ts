import { halfToFloat } from "./float16.js";

/** How one GGML tensor type lies in a file: so many elements share a block of so many bytes. */
export interface BlockFormat {
  readonly name: string;
  readonly elements: number;
  readonly bytes: number;
  /** Fills `out` from whole blocks; `out.length` is a multiple of `elements`. */
  readonly dequantize: (bytes: Uint8Array, out: Float32Array) => void;
}

/** The GGML tensor types that can be read, by their number in a GGUF file. The layouts are those of ggml's block structs. */
export const blockFormats: ReadonlyMap<number, BlockFormat> = new Map([
  [0, { name: "F32", elements: 1, bytes: 4, dequantize: f32 }],
  [1, { name: "F16", elements: 1, bytes: 2, dequantize: f16 }],
  [2, { name: "Q4_0", elements: 32, bytes: 18, dequantize: q4_0 }],
  [3, { name: "Q4_1", elements: 32, bytes: 20, dequantize: q4_1 }],
  [6, { name: "Q5_0", elements: 32, bytes: 22, dequantize: q5_0 }],
  [7, { name: "Q5_1", elements: 32, bytes: 24, dequantize: q5_1 }],
  [8, { name: "Q8_0", elements: 32, bytes: 34, dequantize: q8_0 }],
  [12, { name: "Q4_K", elements: 256, bytes: 144, dequantize: q4_k }],
  [13, { name: "Q5_K", elements: 256, bytes: 176, dequantize: q5_k }],
  [14, { name: "Q6_K", elements: 256, bytes: 210, dequantize: q6_k }],
  [30, { name: "BF16", elements: 1, bytes: 2, dequantize: bf16 }],
]);

/** Names of GGML types that exist and are not read here, so that an error can name them. */
export const otherTypeNames: ReadonlyMap<number, string> = new Map([
  [9, "Q8_1"],
  [10, "Q2_K"],
  [11, "Q3_K"],
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [20, "IQ4_NL"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [23, "IQ4_XS"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [29, "IQ1_M"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
]);

// The loops index typed arrays within bounds by construction; `at` keeps the compiler content at no cost to speed.
const at = (array: ArrayLike<number>, index: number): number => array[index] as number;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function f32(bytes: Uint8Array, out: Float32Array): void {
  new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
}

function f16(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  for (let i = 0; i < out.length; i++) out[i] = at(table, at(bytes, 2 * i) | (at(bytes, 2 * i + 1) << 8));
}

function bf16(bytes: Uint8Array, out: Float32Array): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < out.length; i++) bits[i] = (at(bytes, 2 * i) << 16) | (at(bytes, 2 * i + 1) << 24);
}

/** Block: scale d (f16), 16 bytes of nibbles: x = d (q - 8). */
function q4_0(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  const data = view(bytes);
  for (let o = 0, b = 0; o < out.length; o += 32, b += 18) {
    const d = at(table, data.getUint16(b, true));
    for (let j = 0; j < 16; j++) {
      const q = at(bytes, b + 2 + j);
      out[o + j] = d * ((q & 15) - 8);
      out[o + j + 16] = d * ((q >> 4) - 8);
    }
  }
}

/** Block: scale d and minimum m (f16), 16 bytes of nibbles: x = d q + m. */
function q4_1(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  const data = view(bytes);
  for (let o = 0, b = 0; o < out.length; o += 32, b += 20) {
    const d = at(table, data.getUint16(b, true));
    const m = at(table, data.getUint16(b + 2, true));
    for (let j = 0; j < 16; j++) {
      const q = at(bytes, b + 4 + j);
      out[o + j] = d * (q & 15) + m;
      out[o + j + 16] = d * (q >> 4) + m;
    }
  }
}

/** Block: scale d (f16), 32 high bits, 16 bytes of nibbles: x = d (q - 16). */
function q5_0(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  const data = view(bytes);
  for (let o = 0, b = 0; o < out.length; o += 32, b += 22) {
    const d = at(table, data.getUint16(b, true));
    const high = data.getUint32(b + 2, true);
    for (let j = 0; j < 16; j++) {
      const q = at(bytes, b + 6 + j);
      out[o + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[o + j + 16] = d * (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** Block: scale d and minimum m (f16), 32 high bits, 16 bytes of nibbles: x = d q + m. */
function q5_1(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  const data = view(bytes);
  for (let o = 0, b = 0; o < out.length; o += 32, b += 24) {
    const d = at(table, data.getUint16(b, true));
    const m = at(table, data.getUint16(b + 2, true));
    const high = data.getUint32(b + 4, true);
    for (let j = 0; j < 16; j++) {
      const q = at(bytes, b + 8 + j);
      out[o + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m;
      out[o + j + 16] = d * ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** Block: scale d (f16), 32 signed bytes: x = d q. */
function q8_0(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  const data = view(bytes);
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let o = 0, b = 0; o < out.length; o += 32, b += 34) {
    const d = at(table, data.getUint16(b, true));
    for (let j = 0; j < 32; j++) out[o + j] = d * at(signed, b + 2 + j);
  }
}

/**
 * Super-block of 8 blocks of 32: d, dmin (f16), 8 six-bit scales and 8 six-bit minima in 12 bytes, 128 bytes of nibbles:
 * x = d scale q - dmin minimum.
 */
function q4_k(bytes: Uint8Array, out: Float32Array): void {
  for (let o = 0, b = 0; o < out.length; o += 256, b += 144) {
    for (let block = 0; block < 8; block++) {
      const { step, offset } = scaleOf(bytes, b, block);
      const nibbles = b + 16 + (block >> 1) * 32;
      const shift = (block & 1) * 4;
      for (let j = 0; j < 32; j++) {
        out[o + block * 32 + j] = step * ((at(bytes, nibbles + j) >> shift) & 15) - offset;
      }
    }
  }
}

/** As Q4_K, with 32 bytes before the nibbles that hold the fifth bit: bit n of byte j belongs to element j of block n. */
function q5_k(bytes: Uint8Array, out: Float32Array): void {
  for (let o = 0, b = 0; o < out.length; o += 256, b += 176) {
    for (let block = 0; block < 8; block++) {
      const { step, offset } = scaleOf(bytes, b, block);
      const nibbles = b + 48 + (block >> 1) * 32;
      const shift = (block & 1) * 4;
      for (let j = 0; j < 32; j++) {
        const high = ((at(bytes, b + 16 + j) >> block) & 1) << 4;
        out[o + block * 32 + j] = step * (((at(bytes, nibbles + j) >> shift) & 15) | high) - offset;
      }
    }
  }
}

/** Scale and minimum of one of the eight blocks of a Q4_K or Q5_K super-block that begins at `start`. */
function scaleOf(bytes: Uint8Array, start: number, block: number): { step: number; offset: number } {
  const table = halfToFloat();
  const d = at(table, at(bytes, start) | (at(bytes, start + 1) << 8));
  const dmin = at(table, at(bytes, start + 2) | (at(bytes, start + 3) << 8));
  const s = start + 4 + block;
  const scale = block < 4 ? at(bytes, s) & 63 : (at(bytes, s + 4) & 15) | ((at(bytes, s - 4) >> 6) << 4);
  const minimum = block < 4 ? at(bytes, s + 4) & 63 : (at(bytes, s + 4) >> 4) | ((at(bytes, s) >> 6) << 4);
  return { step: d * scale, offset: dmin * minimum };
}

/** Super-block of 16 blocks of 16: 128 bytes of low nibbles, 64 bytes of high pairs of bits, 16 signed scales, d (f16): x = d scale (q - 32). */
function q6_k(bytes: Uint8Array, out: Float32Array): void {
  const table = halfToFloat();
  const data = view(bytes);
  for (let o = 0, b = 0; o < out.length; o += 256, b += 210) {
    const d = at(table, data.getUint16(b + 208, true));
    for (let half = 0; half < 2; half++) {
      const low = b + half * 64;
      const high = b + 128 + half * 32;
      const scales = b + 192 + half * 8;
      for (let quarter = 0; quarter < 4; quarter++) {
        const lowRow = low + (quarter & 1) * 32;
        const lowShift = (quarter >> 1) * 4;
        const y = o + half * 128 + quarter * 32;
        for (let j = 0; j < 32; j++) {
          const q = ((at(bytes, lowRow + j) >> lowShift) & 15) | (((at(bytes, high + j) >> (2 * quarter)) & 3) << 4);
          out[y + j] = d * data.getInt8(scales + 2 * quarter + (j >> 4)) * (q - 32);
        }
      }
    }
  }
}
