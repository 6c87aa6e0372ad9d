import { Graph } from "../../src/graph/graph.js";
import * as ops from "../../src/graph/ops.js";
import type { Value } from "../../src/graph/value.js";
import { float32, int32, sizeOf, type Tensor, tensor } from "../../src/tensor.js";

/** One expression over named inputs, evaluated by every backend and, with `wrt`, differentiated. */
export interface Case {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly build: (inputs: Readonly<Record<string, Value>>) => Value;
  /** Inputs to differentiate with respect to; all float32 inputs by default, none for `[]`. */
  readonly wrt?: readonly string[];
}

/** Deterministic numbers in -1..1 without repeats, so that ties and kinks are met only where a case asks for them. */
export function wave(shape: readonly number[], phase = 0, scale = 1): Tensor<"float32"> {
  const data = Float32Array.from(
    { length: sizeOf(shape) },
    (_, i) => scale * Math.sin(1.7 * i + 0.31 * i * i + phase + 0.4),
  );
  return float32(shape, data);
}

/** The same, but all positive: scale * (0.2..2.2). */
export function positive(shape: readonly number[], phase = 0): Tensor<"float32"> {
  return float32(
    shape,
    wave(shape, phase).data.map((x) => x + 1.2),
  );
}

/** The case's expression in a new graph, with the inputs' values. */
export function buildCase({ inputs, build }: Case): { y: Value; values: Record<string, Value> } {
  const graph = new Graph();
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape }]) => [name, graph.input(name, dtype, shape)]),
  );
  return { y: build(values), values };
}

const mask = (shape: readonly number[]): Tensor =>
  tensor(
    "bool",
    shape,
    Uint8Array.from({ length: sizeOf(shape) }, (_, i) => Number((i * 7) % 3 === 0)),
  );

const extreme = float32([9], [0, -0, 1, -1, 88, -88, 1e30, -1e30, 1e-30]);
const infinite = float32([5], [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 3, -3]);

type Operand = "a" | "b" | "c" | "x" | "i";
type Values = Readonly<Record<Operand, Value>>;
const define = (
  name: string,
  inputs: Partial<Record<Operand, Tensor>>,
  build: (v: Values) => Value,
  wrt?: readonly Operand[],
): Case => ({
  name,
  inputs,
  build: (values) => build(values as Values),
  ...(wrt === undefined ? {} : { wrt }),
});

const unary = (
  name: string,
  f: (x: Value) => Value,
  {
    domain = wave,
    extremes = true,
    differentiable = true,
  }: { domain?: typeof wave; extremes?: boolean; differentiable?: boolean } = {},
): Case[] => {
  const wrt: Operand[] = differentiable ? ["x"] : [];
  return [
    define(`${name} of an odd shape`, { x: domain([3, 1, 5, 7]) }, ({ x }) => f(x), wrt),
    define(`${name} of a scalar`, { x: domain([]) }, ({ x }) => f(x), wrt),
    ...(extremes ? [define(`${name} of extreme values`, { x: extreme }, ({ x }) => f(x), [])] : []),
    ...(extremes ? [define(`${name} of infinities`, { x: infinite }, ({ x }) => f(x), [])] : []),
  ];
};

const binary = (
  name: string,
  f: (a: Value, b: Value) => Value,
  { domain = wave, differentiable = true } = {},
): Case[] => {
  const wrt: Operand[] = differentiable ? ["a", "b"] : [];
  return [
    define(`${name} of equal shapes`, { a: domain([2, 3, 5]), b: domain([2, 3, 5], 1) }, ({ a, b }) => f(a, b), wrt),
    define(
      `${name} broadcasting both ways`,
      { a: domain([3, 1, 5]), b: domain([2, 1, 4, 1], 1) },
      ({ a, b }) => f(a, b),
      wrt,
    ),
    define(`${name} with a row`, { a: domain([3, 4]), b: domain([4], 1) }, ({ a, b }) => f(a, b), wrt),
    define(
      `${name} with a number on each side`,
      { a: domain([4]) },
      ({ a }) => ops.cast(ops.equal(f(a, a), f(a, a)), "float32"),
      [],
    ),
    define(`${name} with a scalar`, { a: domain([3, 4]), b: domain([], 1) }, ({ a, b }) => f(a, b), wrt),
    define(
      `${name} with itself`,
      { a: domain([5]) },
      ({ a }) => f(a, a),
      name === "min" || name === "max" ? [] : differentiable ? ["a"] : [],
    ),
    define(`${name} with infinities`, { a: infinite, b: wave([5, 1]) }, ({ a, b }) => f(a, b), []),
  ];
};

const number = (b: Value): Value => ops.cast(b, "float32");

/** Every operation, in odd shapes, with broadcasting and at extreme values. */
export const cases: readonly Case[] = [
  ...binary("add", ops.add),
  ...binary("sub", ops.sub),
  ...binary("mul", ops.mul),
  ...binary("div", ops.div, { domain: positive }),
  ...binary("pow", ops.pow, { domain: positive }),
  ...binary("min", ops.min),
  ...binary("max", ops.max),
  ...binary("equal", (a, b) => number(ops.equal(a, b)), { differentiable: false }),
  ...binary("less", (a, b) => number(ops.less(a, b)), { differentiable: false }),
  ...binary("greater", (a, b) => number(ops.greater(a, b)), { differentiable: false }),
  ...binary("lessOrEqual", (a, b) => number(ops.lessOrEqual(a, b)), { differentiable: false }),
  ...binary("greaterOrEqual", (a, b) => number(ops.greaterOrEqual(a, b)), { differentiable: false }),
  define("pow with a number", { a: wave([3, 2]) }, ({ a }) => ops.pow(a, 3)),
  define("numbers as operands", { a: positive([4]) }, ({ a }) => ops.div(2, ops.sub(3, ops.mul(0.5, a)))),
  define("int32 arithmetic", { a: int32([4], [7, -7, 9, 0]), b: int32([4], [2, 2, -4, 5]) }, ({ a, b }) =>
    ops.concat(
      [
        ops.add(a, b),
        ops.sub(a, 1),
        ops.mul(a, b),
        ops.div(a, b),
        ops.neg(a),
        ops.abs(a),
        ops.min(a, b),
        ops.max(a, b),
      ],
      0,
    ),
  ),
  define("int32 comparison", { a: int32([3], [1, 2, 3]), b: int32([3], [3, 2, 1]) }, ({ a, b }) =>
    ops.concat([number(ops.equal(a, b)), number(ops.less(a, b)), number(ops.greater(a, b))], 0),
  ),
  define("bool logic", { a: mask([6]), b: tensor("bool", [2, 1], Uint8Array.of(0, 1)) }, ({ a, b }) =>
    ops.or(ops.and(a, b), ops.not(a)),
  ),
  define("where with a mask", { c: mask([3, 4]), a: wave([3, 4]), b: wave([4], 1) }, ({ a, b, c }) =>
    ops.where(c, a, b),
  ),
  define("where with numbers", { c: mask([5]), a: wave([2, 5]) }, ({ a, c }) => ops.where(c, a, -1e4)),
  define("where over int32", { c: mask([5]), i: int32([5], [1, 2, 3, 4, 5]) }, ({ c, i }) => ops.where(c, i, -1)),

  ...unary("neg", ops.neg),
  ...unary("abs", ops.abs),
  ...unary("sign", ops.sign, { differentiable: false }),
  ...unary("exp", ops.exp),
  ...unary("log", ops.log, { domain: positive }),
  ...unary("sqrt", ops.sqrt, { domain: positive }),
  ...unary("reciprocal", ops.reciprocal, { domain: positive }),
  ...unary("tanh", ops.tanh),
  ...unary("sigmoid", ops.sigmoid),
  ...unary("softplus", ops.softplus),
  ...unary("erf", ops.erf),
  ...unary("relu", ops.relu),
  ...unary("sin", ops.sin, { extremes: false }),
  ...unary("cos", ops.cos, { extremes: false }),
  ...unary("silu", ops.silu, { extremes: false }),
  ...unary("square", ops.square, { extremes: false }),
  ...unary("gelu", (x) => ops.gelu(x), { extremes: false }),
  ...unary("gelu tanh", (x) => ops.gelu(x, "tanh"), { extremes: false }),
  define("gelu far out", { x: float32([6], [-30, -6, -3, 3, 6, 30]) }, ({ x }) =>
    ops.concat([ops.gelu(x), ops.gelu(x, "tanh")], 0),
  ),
  ...unary("clip", (x) => ops.clip(x, -0.5, 0.25)),
  ...unary("stopGradient", (x) => ops.mul(x, ops.stopGradient(x)), { differentiable: false, extremes: false }),
  define("cast to int32", { x: float32([6], [0.9, -0.9, 2.5, -2.5, 3, -0]) }, ({ x }) => ops.cast(x, "int32"), []),
  define("cast to bool", { x: float32([4], [0, -0, 0.1, -3]) }, ({ x }) => ops.cast(x, "bool"), []),
  define("cast from int32 and bool", { i: int32([3], [-1, 0, 5]), c: mask([3]) }, ({ i, c }) =>
    ops.add(ops.cast(i, "float32"), ops.cast(c, "float32")),
  ),

  ...[false, true].flatMap((transA) =>
    [false, true].flatMap((transB) => {
      const a = (batch: readonly number[]) => wave([...batch, ...(transA ? [5, 3] : [3, 5])]);
      const b = (batch: readonly number[]) => wave([...batch, ...(transB ? [4, 5] : [5, 4])], 1);
      const f = ({ a, b }: Values) => ops.fusedMatMul(a, b, { transA, transB, alpha: 0.5 });
      const name = `matMul${transA ? " transA" : ""}${transB ? " transB" : ""}`;
      return [
        define(`${name} of matrices`, { a: a([]), b: b([]) }, f),
        define(`${name} of a batch by a matrix`, { a: a([2, 3]), b: b([]) }, f),
        define(`${name} of batches`, { a: a([2, 3]), b: b([2, 3]) }, f),
        define(`${name} of a matrix by a batch`, { a: a([]), b: b([3]) }, f),
        define(`${name} of broadcast batches`, { a: a([2, 1]), b: b([1, 3]) }, f),
      ];
    }),
  ),
  define("plain matMul with inner size 1", { a: wave([3, 1]), b: wave([1, 4]) }, ({ a, b }) => ops.matMul(a, b)),
  define("matMul with one row and one column", { a: wave([1, 7]), b: wave([7, 1]) }, ({ a, b }) => ops.matMul(a, b)),

  ...["softmax", "logSoftmax"].flatMap((name) => {
    const f = name === "softmax" ? ops.softmax : ops.logSoftmax;
    return [
      define(`${name} over the last axis`, { x: wave([2, 3, 5]) }, ({ x }) => f(x)),
      define(`${name} over a middle axis`, { x: wave([2, 3, 5]) }, ({ x }) => f(x, 1)),
      define(`${name} over an axis of size 1`, { x: wave([3, 1]) }, ({ x }) => f(x)),
      define(`${name} of large logits`, { x: float32([2, 3], [1e4, 1e4 - 1, -1e4, 80, -80, 0]) }, ({ x }) => f(x)),
      define(
        `${name} of masked logits`,
        { x: float32([2, 3], [Number.NEGATIVE_INFINITY, 1, 2, 0, Number.NEGATIVE_INFINITY, -1]) },
        ({ x }) => f(x),
        [],
      ),
      define(
        `${name} with a large negative mask`,
        { x: float32([2, 3], [-3.4e38, 1, 2, 0, -1e9, -1]) },
        ({ x }) => f(x),
        [],
      ),
    ];
  }),
  define("layerNormalization", { x: wave([2, 3, 7], 0, 3), a: positive([7]), b: wave([7], 2) }, ({ x, a, b }) =>
    ops.layerNormalization(x, a, b, 1e-5),
  ),
  define(
    "layerNormalization of a constant row",
    { x: float32([1, 4], [2, 2, 2, 2]), a: positive([4]), b: wave([4]) },
    ({ x, a, b }) => ops.layerNormalization(x, a, b, 1e-5),
    ["a", "b"],
  ),
  define("rmsNormalization", { x: wave([2, 3, 7], 0, 3), a: positive([7]) }, ({ x, a }) =>
    ops.rmsNormalization(x, a, 1e-6),
  ),
  define(
    "rmsNormalization of zeros",
    { x: float32([2, 3], [0, 0, 0, 0, 0, 0]), a: positive([3]) },
    ({ x, a }) => ops.rmsNormalization(x, a, 1e-5),
    ["a"],
  ),
  define(
    "rotaryEmbedding",
    { x: wave([2, 3, 5, 4]), a: wave([2, 5, 2], 1), b: wave([2, 5, 2], 2) },
    ({ x, a, b }) => ops.rotaryEmbedding(x, a, b),
    ["x"],
  ),
  define(
    "rotaryEmbedding of one token",
    { x: wave([1, 1, 1, 8]), a: wave([1, 1, 4], 1), b: wave([1, 1, 4], 2) },
    ({ x, a, b }) => ops.rotaryEmbedding(x, a, b),
    ["x"],
  ),

  ...Object.entries({
    reduceSum: ops.reduceSum,
    reduceSumSquare: ops.reduceSumSquare,
    reduceMean: ops.reduceMean,
    reduceMax: ops.reduceMax,
  }).flatMap(([name, reduce]) => [
    define(`${name} over one axis`, { x: wave([2, 3, 5]) }, ({ x }) => reduce(x, [1])),
    define(`${name} over two axes, kept`, { x: wave([2, 3, 5]) }, ({ x }) => reduce(x, [0, -1], true)),
    define(`${name} over everything`, { x: wave([2, 3]) }, ({ x }) => reduce(x)),
    define(`${name} over an axis of size 1`, { x: wave([3, 1]) }, ({ x }) => reduce(x, [1])),
    define(`${name} of a scalar`, { x: wave([]) }, ({ x }) => reduce(x)),
  ]),
  define("reduceMax with infinities", { x: infinite }, ({ x }) => ops.reduceMax(x), []),
  define("cumSum", { x: wave([2, 5, 3]) }, ({ x }) => ops.cumSum(x, 1)),
  define("cumSum from the end", { x: wave([2, 5]) }, ({ x }) => ops.cumSum(x, -1, true)),
  define("argMax", { x: wave([3, 5]) }, ({ x }) => ops.argMax(x), []),
  define(
    "argMax of equal elements",
    { x: float32([2, 3], [1, 1, 0, 5, 7, 7]) },
    ({ x }) => ops.argMax(x, -1, true),
    [],
  ),
  define("argMax over the first axis", { x: wave([3, 5]) }, ({ x }) => ops.argMax(x, 0), []),
  define("topK values", { x: wave([3, 7]) }, ({ x }) => ops.topK(x, 3).values),
  define("topK indices over a middle axis", { x: wave([2, 5, 3]) }, ({ x }) => ops.topK(x, 2, 1).indices, []),
  define("topK of everything", { x: wave([4]) }, ({ x }) => ops.topK(x, 4).values),

  define("reshape", { x: wave([2, 3, 4]) }, ({ x }) => ops.reshape(x, [4, -1])),
  define("reshape to a scalar", { x: wave([1, 1]) }, ({ x }) => ops.reshape(x, [])),
  define("reshape twice", { x: wave([2, 3]) }, ({ x }) => ops.mul(ops.reshape(ops.reshape(x, [6]), [3, 2]), 2)),
  define("expand", { x: wave([3, 1]) }, ({ x }) => ops.expand(x, [2, 3, 4])),
  define("expand int32", { i: int32([1], [3]) }, ({ i }) => ops.expand(i, [2, 2])),
  define("transpose of the last two axes", { x: wave([2, 3, 4]) }, ({ x }) => ops.transpose(x)),
  define("transpose with perm", { x: wave([2, 3, 4, 5]) }, ({ x }) => ops.transpose(x, [2, 0, 3, 1])),
  define("concat", { a: wave([2, 1, 3]), b: wave([2, 4, 3], 1) }, ({ a, b }) => ops.concat([a, b, a], 1)),
  define("concat over the last axis", { a: wave([2, 3]), b: wave([2, 1], 1) }, ({ a, b }) => ops.concat([a, b], -1)),
  define("slice", { x: wave([2, 5, 3]) }, ({ x }) => ops.slice(x, 1, 1, 4)),
  define("slice from the back", { x: wave([2, 5]) }, ({ x }) => ops.slice(x, -1, -2)),
  define("split", { x: wave([2, 6]) }, ({ x }) => {
    const [a, b, c] = ops.split(x, [1, 3, 2], 1);
    if (a === undefined || b === undefined || c === undefined) throw new Error("three pieces expected");
    return ops.concat([c, a, ops.mul(b, b)], 1);
  }),
  define("pad", { x: wave([2, 3]) }, ({ x }) => ops.pad(x, 1, 2, 1, 7)),
  define("pad of the first axis with int32", { i: int32([2, 2], [1, 2, 3, 4]) }, ({ i }) => ops.pad(i, 0, 1, 0, -1)),
  define("gather of rows", { x: wave([5, 3]), i: int32([2, 3], [4, 0, 0, 2, 4, 4]) }, ({ x, i }) => ops.gather(x, i)),
  define("gather along the last axis", { x: wave([2, 4]), i: int32([3], [3, 3, 0]) }, ({ x, i }) =>
    ops.gather(x, i, 1),
  ),
  define("gather of one", { x: wave([4, 2]), i: int32([], [2]) }, ({ x, i }) => ops.gather(x, i)),
  define("gather used twice and directly", { x: wave([5, 3]), i: int32([4], [1, 1, 0, 4]) }, ({ x, i }) =>
    ops.matMul(ops.mul(ops.gather(x, i), ops.gather(x, i)), ops.transpose(x)),
  ),
  define("gatherElements", { x: wave([2, 5]), i: int32([2, 3], [4, 4, 0, 1, 2, 1]) }, ({ x, i }) =>
    ops.gatherElements(x, i),
  ),
  define(
    "gatherElements over the first axis",
    { x: wave([3, 2]), i: int32([4, 2], [0, 1, 2, 2, 0, 0, 1, 0]) },
    ({ x, i }) => ops.gatherElements(x, i, 0),
  ),
  define("scatterElements", { x: wave([2, 5]), i: int32([2, 2], [4, 0, 1, 3]), a: wave([2, 2], 1) }, ({ x, i, a }) =>
    ops.scatterElements(x, i, a),
  ),
  define(
    "scatterElements adding to repeated indices",
    { x: wave([4, 2]), i: int32([3, 2], [0, 0, 0, 3, 2, 3]), a: wave([3, 2], 1) },
    ({ x, i, a }) => ops.scatterElements(x, i, a, 0, "add"),
  ),
  define("trilu upper", { x: wave([2, 3, 4]) }, ({ x }) => ops.trilu(x)),
  define("trilu lower below the diagonal", { x: wave([4, 3]) }, ({ x }) => ops.trilu(x, { upper: false, k: -1 })),

  define("log-probs of chosen tokens", { x: wave([2, 3, 5]), i: int32([2, 3, 1], [4, 0, 0, 2, 1, 3]) }, ({ x, i }) =>
    ops.gatherElements(ops.logSoftmax(x), i),
  ),
  define("log-probs of chosen tokens and entropy", { x: wave([3, 5]), i: int32([3, 1], [4, 0, 2]) }, ({ x, i }) => {
    const logprobs = ops.logSoftmax(x);
    return ops.add(ops.gatherElements(logprobs, i), ops.reduceSum(ops.mul(ops.exp(logprobs), logprobs), [1], true));
  }),
  define("a tied table", { x: wave([5, 3]), i: int32([4, 1], [4, 0, 2, 4]) }, ({ x, i }) =>
    ops.gatherElements(
      ops.logSoftmax(ops.fusedMatMul(ops.tanh(ops.gather(x, ops.reshape(i, [4]))), x, { transB: true })),
      i,
    ),
  ),
  define("zerosLike", { x: wave([2, 3]) }, ({ x }) => ops.add(ops.zerosLike(x), x)),
  define("a shared subexpression", { a: wave([3, 3]), b: wave([3, 3], 1) }, ({ a, b }) => {
    const shared = ops.tanh(ops.matMul(a, b));
    return ops.add(ops.mul(shared, shared), ops.matMul(shared, a));
  }),
  define("an input given back", { x: wave([2, 2]) }, ({ x }) => x),
  define("a large constant", { x: wave([300]) }, ({ x }) => ops.add(x, x.graph.constant(wave([40, 300], 2)))),
  define("a constant given back", { x: wave([2]) }, ({ x }) => x.graph.constant(float32([2, 2], [1, 2, 3, 4])), []),
];
