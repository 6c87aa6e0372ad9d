import {
  add,
  and,
  cast,
  cos as cosine,
  cumSum,
  div,
  equal,
  erf,
  exp,
  expand,
  fusedMatMul,
  gatherElements,
  greater,
  less,
  log,
  mul,
  neg,
  not,
  pad,
  pow,
  reciprocal,
  reduceMean,
  reduceSum,
  reduceSumSquare,
  reshape,
  rotaryEmbedding,
  scatterElements,
  sigmoid,
  sign,
  sin as sine,
  slice,
  sqrt,
  sub,
  tanh,
  transpose,
  trilu,
  where,
  zerosLike,
} from "./ops.js";
import { dependencies } from "./program.js";
import { applyRule, GraphError, type Node, type OpName, sameShape, type Value } from "./value.js";

/**
 * The gradient of a scalar with respect to values of its graph, as new values of the same graph: one per entry of
 * `wrt`, in its shape; zeros where the loss does not depend on it.
 * @throws GraphError if the loss is not a float32 scalar, or `wrt` has a value that is not float32.
 */
export function gradient(loss: Value, wrt: readonly Value[]): Value[] {
  if (loss.dtype !== "float32" || loss.shape.length !== 0)
    throw new GraphError(`the loss ${loss} must be a float32 scalar`);
  for (const value of wrt) {
    if (value.dtype !== "float32") throw new GraphError(`no gradient with respect to ${value}: it is not float32`);
  }
  const order = [...dependencies([loss])].sort((a, b) => a.id - b.id);
  const wanted = new Set(wrt);
  const reaches = new Set<Value>();
  for (const value of order) {
    if (wanted.has(value) || value.node.inputs.some((input) => reaches.has(input))) reaches.add(value);
  }

  const cotangents = new Map<Value, Value>([[loss, loss.graph.constant(1)]]);
  for (const value of order.reverse()) {
    const cotangent = cotangents.get(value);
    if (cotangent === undefined || !reaches.has(value)) continue;
    const parts = applyRule(gradientRules, value.node, value, cotangent);
    value.node.inputs.forEach((input, index) => {
      const part = parts[index];
      if (part === undefined || !reaches.has(input)) return;
      const fitted = unbroadcast(part, input.shape);
      const known = cotangents.get(input);
      cotangents.set(input, known === undefined ? fitted : accumulate(known, fitted));
    });
  }
  return wrt.map((value) => cotangents.get(value) ?? zerosLike(value));
}

/** The sum of two gradients. What was scattered onto zeros is scattered onto the other one instead, in place. */
function accumulate(a: Value, b: Value): Value {
  const scattered = scatteredOntoZeros(b) ?? scatteredOntoZeros(a);
  if (scattered === undefined) return add(a, b);
  const dense = scatteredOntoZeros(b) === undefined ? b : a;
  const [, indices, updates] = scattered.inputs;
  return scatterElements(dense, indices, updates, scattered.attributes.axis, "add");
}

function scatteredOntoZeros({ node }: Value): Node<"ScatterElements"> | undefined {
  if (node.op !== "ScatterElements" || node.attributes.reduction !== "add") return undefined;
  return isZero(node.inputs[0]) ? node : undefined;
}

const isZero = ({ node }: Value): boolean =>
  node.op === "Expand"
    ? isZero(node.inputs[0])
    : node.op === "Constant" && node.attributes.tensor.data.every((x) => x === 0);

/** Sums a gradient over the axes along which its value was broadcast: the only place that undoes broadcasting. */
function unbroadcast(gradient: Value, shape: readonly number[]): Value {
  if (sameShape(gradient.shape, shape)) return gradient;
  const extra = gradient.shape.length - shape.length;
  const axes = [...gradient.shape.keys()].filter(
    (axis) => axis < extra || shape[axis - extra] !== gradient.shape[axis],
  );
  return reshape(reduceSum(gradient, axes), shape);
}

/**
 * A rule gives, from a node, its value y and the gradient g of the loss with respect to y, the gradient with respect
 * to each operand, still in the broadcast shape. What nobody asks for is dropped when a program is made.
 */
type GradientRules = {
  readonly [O in OpName]: (node: Node<O>, y: Value, g: Value) => readonly (Value | undefined)[];
};

const nothing = (): readonly Value[] => [];

const gradientRules: GradientRules = {
  Input: nothing,
  Constant: nothing,
  Equal: nothing,
  Less: nothing,
  Greater: nothing,
  And: nothing,
  Or: nothing,
  Not: nothing,
  Sign: nothing,
  ArgMax: nothing,
  TopK: nothing,
  StopGradient: nothing,

  Add: (_, _y, g) => [g, g],
  Sub: (_, _y, g) => [g, neg(g)],
  Mul: ({ inputs: [a, b] }, _y, g) => [mul(g, b), mul(g, a)],
  Div: ({ inputs: [, b] }, y, g) => {
    const byB = div(g, b);
    return [byB, neg(mul(byB, y))];
  },
  Pow: ({ inputs: [a, b] }, y, g) => [mul(g, mul(b, pow(a, sub(b, 1)))), mul(g, mul(y, log(a)))],
  Min: ({ inputs: [a, b] }, _y, g) => shareBetween(less(a, b), equal(a, b), g),
  Max: ({ inputs: [a, b] }, _y, g) => shareBetween(greater(a, b), equal(a, b), g),
  Where: ({ inputs: [condition] }, _y, g) => [undefined, where(condition, g, 0), where(condition, 0, g)],

  Neg: (_, _y, g) => [neg(g)],
  Abs: ({ inputs: [x] }, _y, g) => [mul(g, sign(x))],
  Exp: (_, y, g) => [mul(g, y)],
  Log: ({ inputs: [x] }, _y, g) => [div(g, x)],
  Sqrt: (_, y, g) => [div(mul(g, 0.5), y)],
  Reciprocal: (_, y, g) => [neg(mul(g, mul(y, y)))],
  Tanh: (_, y, g) => [mul(g, sub(1, mul(y, y)))],
  Sigmoid: (_, y, g) => [mul(g, mul(y, sub(1, y)))],
  Softplus: ({ inputs: [x] }, _y, g) => [mul(g, sigmoid(x))],
  Erf: ({ inputs: [x] }, _y, g) => [mul(g, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI)))],
  Relu: ({ inputs: [x] }, _y, g) => [where(greater(x, 0), g, 0)],
  Sin: ({ inputs: [x] }, _y, g) => [mul(g, cosine(x))],
  Cos: ({ inputs: [x] }, _y, g) => [neg(mul(g, sine(x)))],
  Silu: ({ inputs: [x] }, y, g) => {
    const s = sigmoid(x);
    return [mul(g, add(s, mul(y, sub(1, s))))];
  },
  Gelu: ({ inputs: [x], attributes }, _y, g) => [
    mul(g, attributes.approximate === "tanh" ? geluTanhSlope(x) : geluSlope(x)),
  ],
  Clip: ({ inputs: [x], attributes: { min, max } }, _y, g) => {
    const outside = [less(x, min), greater(x, max)] as const;
    return [where(and(not(outside[0]), not(outside[1])), g, 0)];
  },
  Cast: ({ inputs: [x] }, _y, g) => [x.dtype === "float32" && g.dtype === "float32" ? g : undefined],

  FusedMatMul: ({ inputs: [a, b], attributes: { transA, transB, alpha } }, _y, g) => {
    const gradientOfA = transA
      ? fusedMatMul(b, g, { transA: transB, transB: true, alpha })
      : fusedMatMul(g, b, { transB: !transB, alpha });
    // One product over all rows instead of one per leading index and a sum.
    const flat = b.shape.length === 2 && !transA;
    const [rowsOfA, rowsOfG] = flat ? [rows(a), rows(g)] : [a, g];
    const gradientOfB = transB
      ? fusedMatMul(rowsOfG, rowsOfA, { transA: true, transB: transA, alpha })
      : fusedMatMul(rowsOfA, rowsOfG, { transA: !transA, alpha });
    return [gradientOfA, gradientOfB];
  },
  Softmax: ({ attributes: { axis } }, y, g) => {
    const weighted = mul(g, y);
    return [sub(weighted, mul(y, reduceSum(weighted, [axis], true)))];
  },
  LogSoftmax: ({ attributes: { axis } }, y, g) => {
    // The gradient of a chosen token's log-prob is not 0 at one element only: no array of zeros is needed to sum it.
    const sparse = scatteredOntoZeros(g);
    const summed = sparse !== undefined && sparse.attributes.axis === axis ? sparse.inputs[2] : g;
    return [accumulate(mul(exp(y), neg(reduceSum(summed, [axis], true))), g)];
  },
  LayerNormalization: ({ inputs: [x, scale], attributes: { epsilon } }, _y, g) => {
    const centred = sub(x, reduceMean(x, [-1], true));
    const rate = rootMeanSquareRate(centred, epsilon);
    const scaled = mul(g, scale);
    const product = mul(g, centred);
    const slope = mul(rowsTimes(product, scale), cube(rate));
    const level = mul(rate, reduceMean(scaled, [-1], true));
    return [sub(sub(mul(scaled, rate), level), mul(centred, slope)), timesRows(rate, product), g];
  },
  RMSNormalization: ({ inputs: [x, scale], attributes: { epsilon } }, _y, g) => {
    const rate = rootMeanSquareRate(x, epsilon);
    const product = mul(g, x);
    const slope = mul(rowsTimes(product, scale), cube(rate));
    return [sub(mul(mul(g, scale), rate), mul(x, slope)), timesRows(rate, product)];
  },
  RotaryEmbedding: ({ inputs: [, cos, sin] }, _y, g) => [rotaryEmbedding(g, cos, neg(sin))],

  ReduceSum: ({ inputs: [x], attributes }, _y, g) => [expand(keptAxes(g, x, attributes.axes), x.shape)],
  ReduceSumSquare: ({ inputs: [x], attributes }, _y, g) => [mul(mul(x, 2), keptAxes(g, x, attributes.axes))],
  ReduceMean: ({ inputs: [x], attributes }, y, g) => {
    const count = x.shape.reduce((size, dim) => size * dim, 1) / y.shape.reduce((size, dim) => size * dim, 1);
    return [expand(keptAxes(mul(g, 1 / count), x, attributes.axes), x.shape)];
  },
  ReduceMax: ({ inputs: [x], attributes: { axes } }, y, g) => {
    const largest = cast(equal(x, keptAxes(y, x, axes)), "float32");
    return [mul(largest, div(keptAxes(g, x, axes), reduceSum(largest, axes, true)))];
  },
  CumSum: ({ attributes: { axis, reverse } }, _y, g) => [cumSum(g, axis, !reverse)],

  Reshape: ({ inputs: [x] }, _y, g) => [reshape(g, x.shape)],
  Expand: (_, _y, g) => [g],
  Transpose: ({ attributes: { perm } }, _y, g) => [
    transpose(
      g,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ],
  Concat: ({ inputs, attributes: { axis } }, _y, g) => {
    let end = 0;
    return inputs.map((input) => {
      const start = end;
      end += input.shape[axis] ?? 0;
      return slice(g, axis, start, end);
    });
  },
  Slice: ({ inputs: [x], attributes: { axis, start, end } }, _y, g) => [
    pad(g, axis, start, (x.shape[axis] ?? 0) - end),
  ],
  Pad: ({ inputs: [x], attributes: { axis, before } }, _y, g) => [
    slice(g, axis, before, before + (x.shape[axis] ?? 0)),
  ],
  Gather: ({ inputs: [table, ids], attributes: { axis } }, _y, g) => [gatherGradient(table, ids, axis, g)],
  GatherElements: ({ inputs: [x, indices], attributes: { axis } }, _y, g) => [
    scatterElements(zerosLike(x), indices, g, axis, "add"),
  ],
  ScatterElements: ({ inputs: [, indices, updates], attributes: { axis, reduction } }, _y, g) => [
    reduction === "add" ? g : scatterElements(g, indices, zerosLike(updates), axis),
    undefined,
    gatherElements(g, indices, axis),
  ],
  Trilu: ({ attributes: { upper, k } }, _y, g) => [trilu(g, { upper, k })],
};

function shareBetween(first: Value, tie: Value, g: Value): Value[] {
  const half = mul(g, 0.5);
  return [where(first, g, where(tie, half, 0)), where(first, 0, where(tie, half, g))];
}

/** 1 / sqrt(mean(x^2) + epsilon) over the last axis, kept with size 1. */
const rootMeanSquareRate = (x: Value, epsilon: number): Value =>
  reciprocal(sqrt(add(mul(reduceSumSquare(x, [-1], true), 1 / (x.shape.at(-1) ?? 1)), epsilon)));

const cube = (x: Value): Value => mul(x, mul(x, x));

/** Mean over the last axis of x * row, kept with size 1: a matrix-vector product, with no array of x's size. */
const rowsTimes = (x: Value, row: Value): Value => {
  const size = x.shape.at(-1) ?? 1;
  const products = fusedMatMul(rows(x), reshape(row, [size, 1]), { alpha: 1 / size });
  return reshape(products, [...x.shape.slice(0, -1), 1]);
};

/** Sum over all rows of weight * x, weights [.., 1] and x [.., D]: likewise; the result is [D]. */
const timesRows = (weights: Value, x: Value): Value =>
  reshape(fusedMatMul(rows(weights), rows(x), { transA: true }), [x.shape.at(-1) ?? 1]);

/** d gelu(x) / dx = Phi(x) + x phi(x) */
function geluSlope(x: Value): Value {
  const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return add(mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5), mul(x, density));
}

/** The same for 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
function geluTanhSlope(x: Value): Value {
  const rate = Math.sqrt(2 / Math.PI);
  const squared = mul(x, x);
  const t = tanh(mul(mul(x, add(mul(squared, 0.044715), 1)), rate));
  const inner = mul(add(mul(squared, 3 * 0.044715), 1), rate);
  return add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), sub(1, mul(t, t))), inner));
}

/** All leading axes as one: `[.., D]` to `[N, D]`. */
const rows = (x: Value): Value => reshape(x, [-1, x.shape.at(-1) ?? 1]);

/** Puts reduced axes back with size 1, so that the value broadcasts against what was reduced. */
const keptAxes = (reduced: Value, x: Value, axes: readonly number[]): Value =>
  reshape(
    reduced,
    x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)),
  );

/** Adds every slice of g to the row of the table that it came from; rows gathered more than once get the sum. */
function gatherGradient(table: Value, ids: Value, axis: number, g: Value): Value {
  const before = table.shape.slice(0, axis);
  const after = table.shape.slice(axis + 1);
  const count = ids.shape.reduce((size, dim) => size * dim, 1);
  const updates = reshape(g, [...before, count, ...after]);
  const along = reshape(ids, [...before.map(() => 1), count, ...after.map(() => 1)]);
  return scatterElements(zerosLike(table), expand(along, updates.shape), updates, axis, "add");
}
