/**
 * Adam's element-wise loop as WebAssembly with 128-bit SIMD, assembled here: about twice as fast as the same loop in
 * JavaScript. Instructions are written as expressions; the numbers are opcodes of the WebAssembly core specification.
 */

/** Elements per array that one call of the loop takes. Four arrays of this size stay in a core's second-level cache. */
export const CHUNK = 16384;

/** The compiled loop and its memory: four arrays of {@link CHUNK} elements, the first three of which it overwrites (p, m, v). */
export interface AdamLoop {
  readonly p: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly g: Float32Array;
  /** Takes the step for the first `count` elements (rounded up to a multiple of 4). */
  run(
    count: number,
    gradientScale: number,
    l2: number,
    shrink: number,
    oneMinusBeta1: number,
    beta2: number,
    oneMinusBeta2: number,
    stepSize: number,
    inverseSqrtCorrection2: number,
    epsilon: number,
  ): void;
}

/** Compiles the loop, or gives undefined where WebAssembly or its SIMD instructions are missing. */
export function adamLoop(): AdamLoop | undefined {
  try {
    const bytes = Uint8Array.from(adamModule());
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    const { memory, adam } = exports;
    if (!(memory instanceof WebAssembly.Memory) || typeof adam !== "function") return undefined;
    const array = (index: number) => new Float32Array(memory.buffer, index * CHUNK * 4, CHUNK);
    return {
      p: array(0),
      m: array(1),
      v: array(2),
      g: array(3),
      run: (count, ...hyper) => void adam(Math.ceil(count / 4) * 16, ...hyper),
    };
  } catch {
    return undefined;
  }
}

type Code = readonly number[];

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;

/** Unsigned LEB128. */
function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}
const sized = (content: Code): number[] => [...leb(content.length), ...content];
const vector = (items: readonly Code[]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, content: Code): number[] => [id, ...sized(content)];
const name = (text: string): number[] => sized([...new TextEncoder().encode(text)]);

const simd = (opcode: number, ...operands: Code[]): number[] => [...operands.flat(), 0xfd, ...leb(opcode)];
const get = (local: number): number[] => [0x20, ...leb(local)];
const set = (local: number, value: Code): number[] => [...value, 0x21, ...leb(local)];
const splat = (a: Code): number[] => simd(0x13, a);
const sqrt = (a: Code): number[] => simd(0xe3, a);
const add = (a: Code, b: Code): number[] => simd(0xe4, a, b);
const sub = (a: Code, b: Code): number[] => simd(0xe5, a, b);
const mul = (a: Code, b: Code): number[] => simd(0xe6, a, b);
const div = (a: Code, b: Code): number[] => simd(0xe7, a, b);
const load = (address: Code, array: number): number[] => [...address, 0xfd, 0x00, 4, ...leb(array * CHUNK * 4)];
const store = (address: Code, array: number, value: Code): number[] => [
  ...address,
  ...value,
  0xfd,
  0x0b,
  4,
  ...leb(array * CHUNK * 4),
];

/** The module: `adam(endInBytes, ...nine hyperparameters)` over memory of four arrays. */
function adamModule(): number[] {
  const [end, firstHyper] = [0, 1];
  const hyperCount = 9;
  const i = firstHyper + hyperCount;
  const [p, m, v, g] = [i + 1, i + 2, i + 3, i + 4];
  const splats = g + 1;
  const hyper = (index: number): number[] => get(splats + index);
  const [gradientScale, l2, shrink] = [hyper(0), hyper(1), hyper(2)];
  const [oneMinusBeta1, beta2, oneMinusBeta2] = [hyper(3), hyper(4), hyper(5)];
  const [stepSize, inverseSqrtCorrection2, epsilon] = [hyper(6), hyper(7), hyper(8)];

  const body = [
    ...Array.from({ length: hyperCount }, (_, k) => set(splats + k, splat(get(firstHyper + k)))).flat(),
    ...[0x03, 0x40], // loop
    ...set(p, load(get(i), 0)),
    ...set(g, add(mul(load(get(i), 3), gradientScale), mul(l2, get(p)))),
    ...set(m, load(get(i), 1)),
    ...set(m, add(get(m), mul(oneMinusBeta1, sub(get(g), get(m))))),
    ...set(v, add(mul(load(get(i), 2), beta2), mul(oneMinusBeta2, mul(get(g), get(g))))),
    ...store(get(i), 1, get(m)),
    ...store(get(i), 2, get(v)),
    ...store(
      get(i),
      0,
      sub(mul(get(p), shrink), div(mul(stepSize, get(m)), add(mul(sqrt(get(v)), inverseSqrtCorrection2), epsilon))),
    ),
    ...set(i, [...get(i), 0x41, 16, 0x6a]), // i + 16
    ...[...get(i), ...get(end), 0x49, 0x0d, 0], // again if i < end
    ...[0x0b, 0x0b],
  ];
  const locals = vector([
    [1, I32],
    [4 + hyperCount, V128],
  ]);
  return [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, ...vector([[I32], ...Array<Code>(hyperCount).fill([F32])]), 0]])),
    ...section(3, vector([[0]])),
    ...section(5, vector([[0, (4 * CHUNK * 4) / 65536]])),
    ...section(
      7,
      vector([
        [...name("memory"), 2, 0],
        [...name("adam"), 0, 0],
      ]),
    ),
    ...section(10, vector([sized([...locals, ...body])])),
  ];
}
