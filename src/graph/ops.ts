/**
 * The operations a graph is written in: plain functions over values, named as in ONNX. Where an operand may be a
 * number it stands for a scalar of the other operand's dtype; binary operations broadcast as in NumPy; axes may be
 * negative. Shapes are static and checked here and now.
 * @throws GraphError from every function here whose operands do not fit.
 */
import type { DType } from "../tensor.js";
import { sizeOf } from "../tensor.js";
import { broadcastShapes } from "./shapes.js";
import { GraphError, type Node, sameShape, Value } from "./value.js";

/** A value, or a number that stands for a scalar. */
export type Operand = Value | number;

/** a + b */
export const add = (a: Operand, b: Operand): Value => binary("Add", a, b);
/** a - b */
export const sub = (a: Operand, b: Operand): Value => binary("Sub", a, b);
/** a * b, element by element */
export const mul = (a: Operand, b: Operand): Value => binary("Mul", a, b);
/** a / b; int32 truncates toward zero */
export const div = (a: Operand, b: Operand): Value => binary("Div", a, b);
/** a to the power b */
export const pow = (a: Operand, b: Operand): Value => binary("Pow", a, b);
/** The smaller of a and b; where they are equal each gets half of the gradient. */
export const min = (a: Operand, b: Operand): Value => binary("Min", a, b);
/** The larger of a and b; where they are equal each gets half of the gradient. */
export const max = (a: Operand, b: Operand): Value => binary("Max", a, b);
/** a = b, bool */
export const equal = (a: Operand, b: Operand): Value => binary("Equal", a, b);
/** a < b, bool */
export const less = (a: Operand, b: Operand): Value => binary("Less", a, b);
/** a > b, bool */
export const greater = (a: Operand, b: Operand): Value => binary("Greater", a, b);
/** a <= b, bool; true where one is NaN */
export const lessOrEqual = (a: Operand, b: Operand): Value => not(greater(a, b));
/** a >= b, bool; true where one is NaN */
export const greaterOrEqual = (a: Operand, b: Operand): Value => not(less(a, b));
/** Both, over bool values. */
export const and = (a: Value, b: Value): Value => binary("And", a, b);
/** Either, over bool values. */
export const or = (a: Value, b: Value): Value => binary("Or", a, b);
/** The opposite of a bool value. */
export const not = (x: Value): Value => x.graph.add({ op: "Not", inputs: [x], attributes: {} });

/** whenTrue where the bool condition holds, else whenFalse; all three broadcast. No gradient flows through the branch not taken. */
export function where(condition: Value, whenTrue: Operand, whenFalse: Operand): Value {
  const [a, b] = operands(whenTrue, whenFalse, condition);
  return condition.graph.add({ op: "Where", inputs: [condition, a, b], attributes: {} });
}

/** -x */
export const neg = (x: Value): Value => x.graph.add({ op: "Neg", inputs: [x], attributes: {} });
/** |x|; gradient 0 at 0 */
export const abs = (x: Value): Value => x.graph.add({ op: "Abs", inputs: [x], attributes: {} });
/** -1, 0 or 1; no gradient */
export const sign = (x: Value): Value => x.graph.add({ op: "Sign", inputs: [x], attributes: {} });
/** e to the power x */
export const exp = (x: Value): Value => x.graph.add({ op: "Exp", inputs: [x], attributes: {} });
/** Natural logarithm. */
export const log = (x: Value): Value => x.graph.add({ op: "Log", inputs: [x], attributes: {} });
/** Square root. */
export const sqrt = (x: Value): Value => x.graph.add({ op: "Sqrt", inputs: [x], attributes: {} });
/** 1 / x */
export const reciprocal = (x: Value): Value => x.graph.add({ op: "Reciprocal", inputs: [x], attributes: {} });
/** Hyperbolic tangent. */
export const tanh = (x: Value): Value => x.graph.add({ op: "Tanh", inputs: [x], attributes: {} });
/** 1 / (1 + exp(-x)) */
export const sigmoid = (x: Value): Value => x.graph.add({ op: "Sigmoid", inputs: [x], attributes: {} });
/** log(1 + exp(x)), without overflow; -log sigmoid(x) is softplus(-x). */
export const softplus = (x: Value): Value => x.graph.add({ op: "Softplus", inputs: [x], attributes: {} });
/** Error function. */
export const erf = (x: Value): Value => x.graph.add({ op: "Erf", inputs: [x], attributes: {} });
/** max(x, 0) */
export const relu = (x: Value): Value => x.graph.add({ op: "Relu", inputs: [x], attributes: {} });
/** Sine. */
export const sin = (x: Value): Value => x.graph.add({ op: "Sin", inputs: [x], attributes: {} });
/** Cosine. */
export const cos = (x: Value): Value => x.graph.add({ op: "Cos", inputs: [x], attributes: {} });
/** x * sigmoid(x) */
export const silu = (x: Value): Value => x.graph.add({ op: "Silu", inputs: [x], attributes: {} });
/** x * x */
export const square = (x: Value): Value => mul(x, x);
/** Gaussian error linear unit; "tanh" is the approximation GPT-2 calls gelu_new. */
export const gelu = (x: Value, approximate: "none" | "tanh" = "none"): Value =>
  x.graph.add({ op: "Gelu", inputs: [x], attributes: { approximate } });

/** x limited to min..max. The gradient passes where min <= x <= max. */
export const clip = (x: Value, min: number, max: number): Value =>
  x.graph.add({ op: "Clip", inputs: [x], attributes: { min, max } });

/** x as another dtype: float32 to int32 truncates toward zero, to bool means "is not 0". */
export const cast = (x: Value, to: DType): Value =>
  x.dtype === to ? x : x.graph.add({ op: "Cast", inputs: [x], attributes: { to } });

/** A value with the elements of x through which no gradient flows. */
export const stopGradient = (x: Value): Value => x.graph.add({ op: "StopGradient", inputs: [x], attributes: {} });

/** Matrix product over the last two axes, leading axes broadcast: `[.., M, K] x [.., K, N] -> [.., M, N]`. */
export const matMul = (a: Value, b: Value): Value => fusedMatMul(a, b);

/**
 * alpha * op(a) op(b), where op transposes the last two axes if asked. A linear layer whose weight is `[out, in]` is
 * `fusedMatMul(x, weight, { transB: true })`; no transposed copy is made.
 */
export function fusedMatMul(
  a: Value,
  b: Value,
  { transA = false, transB = false, alpha = 1 }: { transA?: boolean; transB?: boolean; alpha?: number } = {},
): Value {
  return a.graph.add({ op: "FusedMatMul", inputs: [a, b], attributes: { transA, transB, alpha } });
}

/** Softmax along an axis. */
export const softmax = (x: Value, axis = -1): Value =>
  x.graph.add({ op: "Softmax", inputs: [x], attributes: { axis: axisOf(x, axis) } });
/** Logarithm of softmax along an axis. */
export const logSoftmax = (x: Value, axis = -1): Value =>
  x.graph.add({ op: "LogSoftmax", inputs: [x], attributes: { axis: axisOf(x, axis) } });

/** Layer normalisation over the last axis `[.., D]`; scale and bias are `[D]`. */
export const layerNormalization = (x: Value, scale: Value, bias: Value, epsilon: number): Value =>
  x.graph.add({ op: "LayerNormalization", inputs: [x, scale, bias], attributes: { epsilon } });

/** x / sqrt(mean(x^2) + epsilon) * scale over the last axis `[.., D]`; scale is `[D]`. */
export const rmsNormalization = (x: Value, scale: Value, epsilon: number): Value =>
  x.graph.add({ op: "RMSNormalization", inputs: [x, scale], attributes: { epsilon } });

/**
 * Rotary position embedding, halves rotated against each other as in Hugging Face models (not interleaved):
 * x `[B, H, T, D]`, cos and sin `[B, T, D/2]` (row t of sequence b belongs to its position). cos and sin get no gradient.
 */
export const rotaryEmbedding = (x: Value, cos: Value, sin: Value): Value =>
  x.graph.add({ op: "RotaryEmbedding", inputs: [x, cos, sin], attributes: {} });

/** Sum over axes (all by default). */
export const reduceSum = (x: Value, axes?: readonly number[], keepdims = false): Value =>
  reduce("ReduceSum", x, axes, keepdims);
/** Sum of squares over axes (all by default), without an array of the squares. */
export const reduceSumSquare = (x: Value, axes?: readonly number[], keepdims = false): Value =>
  x.shape.length === 0 ? square(x) : reduce("ReduceSumSquare", x, axes, keepdims);
/** Mean over axes (all by default). */
export const reduceMean = (x: Value, axes?: readonly number[], keepdims = false): Value =>
  reduce("ReduceMean", x, axes, keepdims);
/** Largest element over axes (all by default); equal elements share the gradient. */
export const reduceMax = (x: Value, axes?: readonly number[], keepdims = false): Value =>
  reduce("ReduceMax", x, axes, keepdims);

/** Running sum along an axis, from its end if `reverse`. */
export const cumSum = (x: Value, axis: number, reverse = false): Value =>
  x.graph.add({ op: "CumSum", inputs: [x], attributes: { axis: axisOf(x, axis), reverse } });

/** Index of the largest element along an axis, int32; the first of equals. */
export const argMax = (x: Value, axis = -1, keepdims = false): Value =>
  x.graph.add({ op: "ArgMax", inputs: [x], attributes: { axis: axisOf(x, axis), keepdims } });

/** The k largest elements along an axis, in falling order, and their int32 indices. */
export function topK(x: Value, k: number, axis = -1): { values: Value; indices: Value } {
  const along = axisOf(x, axis);
  const indices = x.graph.add({ op: "TopK", inputs: [x], attributes: { axis: along, k } });
  return { values: gatherElements(x, indices, along), indices };
}

/** The same elements in another shape; one size may be -1 and is found from the others. */
export function reshape(x: Value, shape: readonly number[]): Value {
  const known = shape.reduce((size, dim) => (dim === -1 ? size : size * dim), 1);
  const full = shape.map((dim) => (dim === -1 ? sizeOf(x.shape) / known : dim));
  if (sameShape(full, x.shape)) return x;
  const source = x.node.op === "Reshape" ? x.node.inputs[0] : x;
  if (sameShape(full, source.shape)) return source;
  if (source.node.op === "Constant" && sizeOf(full) === 1)
    return x.graph.constant({ ...source.node.attributes.tensor, shape: full });
  return x.graph.add({ op: "Reshape", inputs: [source], attributes: { shape: full } });
}

/** x repeated along its axes of size 1 (and new leading axes) until it has the shape. */
export const expand = (x: Value, shape: readonly number[]): Value =>
  sameShape(x.shape, shape) ? x : x.graph.add({ op: "Expand", inputs: [x], attributes: { shape: [...shape] } });

/** Axes in another order: result axis i is x's axis perm[i]. Without perm the last two axes change places. */
export function transpose(x: Value, perm?: readonly number[]): Value {
  const axes = [...x.shape.keys()];
  const order = perm ?? [...axes.slice(0, -2), ...axes.slice(-2).reverse()];
  if (sameShape(order, axes)) return x;
  return x.graph.add({ op: "Transpose", inputs: [x], attributes: { perm: [...order] } });
}

/** Values joined along an axis. */
export function concat(values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (first === undefined) throw new GraphError("concat: there is nothing to join");
  if (values.length === 1) return first;
  return first.graph.add({ op: "Concat", inputs: values, attributes: { axis: axisOf(first, axis) } });
}

/** Elements start..end (end not included; negative counts from the back; default the whole rest) of an axis. */
export function slice(x: Value, axis: number, start: number, end?: number): Value {
  const along = axisOf(x, axis);
  const size = x.shape[along] ?? 0;
  const from = start < 0 ? size + start : start;
  const to = end === undefined ? size : end < 0 ? size + end : end;
  if (from === 0 && to === size) return x;
  return x.graph.add({ op: "Slice", inputs: [x], attributes: { axis: along, start: from, end: to } });
}

/** An axis cut into consecutive pieces of the given sizes. */
export function split(x: Value, sizes: readonly number[], axis: number): Value[] {
  const size = x.shape[axisOf(x, axis)];
  const total = sizes.reduce((sum, piece) => sum + piece, 0);
  if (total !== size)
    throw new GraphError(`split: pieces of [${sizes.join(", ")}] do not add up to the axis' size ${size}`);
  let end = 0;
  return sizes.map((piece) => {
    end += piece;
    return slice(x, axis, end - piece, end);
  });
}

/** `before` and `after` elements of a constant value around an axis. */
export function pad(x: Value, axis: number, before: number, after: number, value = 0): Value {
  if (before === 0 && after === 0) return x;
  return x.graph.add({ op: "Pad", inputs: [x], attributes: { axis: axisOf(x, axis), before, after, value } });
}

/** Rows (or slices along an axis) of a table by int32 ids: `[V, D]` and ids `[B, T]` give `[B, T, D]`. */
export const gather = (table: Value, ids: Value, axis = 0): Value =>
  table.graph.add({ op: "Gather", inputs: [table, ids], attributes: { axis: axisOf(table, axis) } });

/** One element of x per int32 index along an axis: `[B, T, V]` and indices `[B, T, 1]` give `[B, T, 1]`. */
export const gatherElements = (x: Value, indices: Value, axis = -1): Value =>
  x.graph.add({ op: "GatherElements", inputs: [x, indices], attributes: { axis: axisOf(x, axis) } });

/** x with elements replaced by (or, with "add", increased by) updates at int32 indices along an axis; indices and updates have one shape. */
export const scatterElements = (
  x: Value,
  indices: Value,
  updates: Value,
  axis = -1,
  reduction: "none" | "add" = "none",
): Value =>
  x.graph.add({
    op: "ScatterElements",
    inputs: [x, indices, updates],
    attributes: { axis: axisOf(x, axis), reduction },
  });

/** The upper or lower triangle of the last two axes, from diagonal k; the rest is 0. */
export const trilu = (x: Value, { upper = true, k = 0 }: { upper?: boolean; k?: number } = {}): Value =>
  x.graph.add({ op: "Trilu", inputs: [x], attributes: { upper, k } });

/** A float32 value of 0 in the shape of x. */
export const zerosLike = (x: Value): Value => expand(x.graph.constant(0), x.shape);

type BinaryName = "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Equal" | "Less" | "Greater" | "And" | "Or";

function binary(op: BinaryName, a: Operand, b: Operand): Value {
  const [left, right] = operands(a, b);
  const [x, y] = [unexpanded(left, right), unexpanded(right, left)];
  const neutral = { Add: 0, Sub: 0, Mul: 1, Div: 1 }[op as string];
  if (neutral !== undefined) {
    if (isConstant(y, neutral) && fits(y, x)) return x;
    if (isConstant(x, neutral) && fits(x, y) && (op === "Add" || op === "Mul")) return y;
  }
  return x.graph.add({ op, inputs: [x, y], attributes: {} } as Node<BinaryName>);
}

/** What `x` was expanded from, if that broadcasts against the other operand to the same result. */
function unexpanded(x: Value, other: Value): Value {
  if (x.node.op !== "Expand" || other.node.op === "Expand") return x;
  const [source] = x.node.inputs;
  const shape = broadcastShapes(source.shape, other.shape);
  return shape !== undefined && sameShape(shape, broadcastShapes(x.shape, other.shape) ?? []) ? source : x;
}

/** Whether a value is one constant number. */
const isConstant = ({ node }: Value, number: number): boolean =>
  node.op === "Constant" && node.attributes.tensor.data.length === 1 && node.attributes.tensor.data[0] === number;

/** Whether broadcasting `x` against `to` leaves the shape of `to` as it is. */
const fits = (x: Value, to: Value): boolean => x.dtype === to.dtype && x.shape.length <= to.shape.length;

/** Numbers become scalars of the other operand's dtype (of float32 if both are numbers, in the graph of `near`). */
function operands(a: Operand, b: Operand, near?: Value): [Value, Value] {
  const value = a instanceof Value ? a : b instanceof Value ? b : near;
  if (value === undefined) throw new GraphError(`${a} and ${b}: at least one operand must be a value of a graph`);
  const dtype = a instanceof Value ? a.dtype : b instanceof Value ? b.dtype : "float32";
  const lift = (operand: Operand) => (operand instanceof Value ? operand : scalar(value, dtype, operand));
  return [lift(a), lift(b)];
}

function scalar(near: Value, dtype: DType, number: number): Value {
  const data =
    dtype === "float32" ? Float32Array.of(number) : dtype === "int32" ? Int32Array.of(number) : Uint8Array.of(number);
  return near.graph.constant({ dtype, shape: [], data });
}

function reduce(
  op: "ReduceSum" | "ReduceSumSquare" | "ReduceMean" | "ReduceMax",
  x: Value,
  axes: readonly number[] | undefined,
  keepdims: boolean,
): Value {
  const all = axes === undefined ? [...x.shape.keys()] : axes.map((axis) => axisOf(x, axis)).sort((a, b) => a - b);
  if (all.length === 0) return x;
  return x.graph.add({ op, inputs: [x], attributes: { axes: all, keepdims } });
}

function axisOf(x: Value, axis: number): number {
  const positive = axis < 0 ? axis + x.shape.length : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= x.shape.length) {
    throw new GraphError(`axis ${axis} is outside the axes of ${x}`);
  }
  return positive;
}
