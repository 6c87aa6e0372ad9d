import type { DType } from "../tensor.js";
import { sizeOf } from "../tensor.js";
import { applyRule, GraphError, type Node, type OpName, type RuleTable, sameShape, type Value } from "./value.js";

/** The dtype and the static shape of a value. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * The type of a node's result.
 * @throws GraphError if the operands do not fit the operation.
 */
export function inferType(node: Node): ValueType {
  return applyRule(shapeRules, node);
}

/** The shape that shapes broadcast to, aligned at the last axis, or undefined if they do not fit. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let size = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (dim === 1 || dim === size) continue;
      if (size !== 1) return undefined;
      size = dim;
    }
    result.push(size);
  }
  return result;
}

const number = ["float32", "int32"] as const;

const shapeRules: RuleTable<[], ValueType> = {
  Input: ({ attributes: { name, dtype, shape } }) => {
    if (shape.some((dim) => !Number.isInteger(dim) || dim < 0)) {
      throw new GraphError(`input "${name}": shape [${shape.join(", ")}] is not made of whole numbers`);
    }
    return { dtype, shape: [...shape] };
  },
  Constant: ({ attributes: { tensor } }) => ({ dtype: tensor.dtype, shape: tensor.shape }),

  Add: (node) => broadcast(node, number),
  Sub: (node) => broadcast(node, number),
  Mul: (node) => broadcast(node, number),
  Div: (node) => broadcast(node, number),
  Pow: (node) => broadcast(node, ["float32"]),
  Min: (node) => broadcast(node, number),
  Max: (node) => broadcast(node, number),
  Equal: (node) => ({ ...broadcast(node, ["float32", "int32", "bool"]), dtype: "bool" }),
  Less: (node) => ({ ...broadcast(node, number), dtype: "bool" }),
  Greater: (node) => ({ ...broadcast(node, number), dtype: "bool" }),
  And: (node) => broadcast(node, ["bool"]),
  Or: (node) => broadcast(node, ["bool"]),
  Not: (node) => same(node, ["bool"]),
  Where: (node) => {
    const [condition, whenTrue, whenFalse] = node.inputs;
    demand(node, condition.dtype === "bool", "its condition must be bool");
    demand(node, whenTrue.dtype === whenFalse.dtype, "both branches must have one dtype");
    const shape = broadcastShapes(condition.shape, whenTrue.shape, whenFalse.shape);
    if (shape === undefined) throw misfit(node, "the shapes do not broadcast");
    return { dtype: whenTrue.dtype, shape };
  },

  Neg: (node) => same(node, number),
  Abs: (node) => same(node, number),
  Sign: (node) => same(node, number),
  Exp: (node) => same(node),
  Log: (node) => same(node),
  Sqrt: (node) => same(node),
  Reciprocal: (node) => same(node),
  Tanh: (node) => same(node),
  Sigmoid: (node) => same(node),
  Softplus: (node) => same(node),
  Erf: (node) => same(node),
  Relu: (node) => same(node),
  Sin: (node) => same(node),
  Cos: (node) => same(node),
  Silu: (node) => same(node),
  Gelu: (node) => same(node),
  StopGradient: (node) => same(node, ["float32", "int32", "bool"]),
  Clip: (node) => same(node),
  Cast: ({ inputs: [x], attributes: { to } }) => ({ dtype: to, shape: x.shape }),

  FusedMatMul: (node) => {
    const [a, b] = node.inputs;
    const { transA, transB } = node.attributes;
    demand(node, a.dtype === "float32" && b.dtype === "float32", "both operands must be float32");
    demand(node, a.shape.length >= 2 && b.shape.length >= 2, "both operands need at least two axes");
    const [aRows, aColumns] = lastTwo(a.shape);
    const [bRows, bColumns] = lastTwo(b.shape);
    const [rows, inner] = transA ? [aColumns, aRows] : [aRows, aColumns];
    const [innerB, columns] = transB ? [bColumns, bRows] : [bRows, bColumns];
    demand(node, inner === innerB, `the inner sizes ${inner} and ${innerB} differ`);
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (batch === undefined) throw misfit(node, "the leading axes do not broadcast");
    return { dtype: "float32", shape: [...batch, rows, columns] };
  },
  Softmax: (node) => along(node),
  LogSoftmax: (node) => along(node),
  LayerNormalization: (node) => {
    const [x, scale, bias] = node.inputs;
    const last = x.shape.slice(-1);
    demand(
      node,
      sameShape(scale.shape, last) && sameShape(bias.shape, last),
      "scale and bias must have the last axis' size",
    );
    return { dtype: "float32", shape: x.shape };
  },
  RMSNormalization: (node) => {
    const [x, scale] = node.inputs;
    demand(node, sameShape(scale.shape, x.shape.slice(-1)), "scale must have the last axis' size");
    return { dtype: "float32", shape: x.shape };
  },
  RotaryEmbedding: (node) => {
    const [x, cos, sin] = node.inputs;
    const [batch, , length, size] = x.shape;
    demand(node, x.shape.length === 4 && size !== undefined && size % 2 === 0, "x must be [B, H, T, D] with an even D");
    const half = [batch ?? 0, length ?? 0, (size ?? 0) / 2];
    demand(
      node,
      sameShape(cos.shape, half) && sameShape(sin.shape, half),
      `cos and sin must be [B, T, D/2] = [${half.join(", ")}]`,
    );
    return { dtype: "float32", shape: x.shape };
  },

  ReduceSum: (node) => reduced(node, number),
  ReduceSumSquare: (node) => reduced(node, ["float32"]),
  ReduceMean: (node) => reduced(node, ["float32"]),
  ReduceMax: (node) => reduced(node, number),
  CumSum: (node) => along(node, number),
  ArgMax: (node) => {
    const { axis, keepdims } = node.attributes;
    const { shape } = along(node, number);
    return { dtype: "int32", shape: shape.flatMap((dim, i) => (i !== axis ? [dim] : keepdims ? [1] : [])) };
  },
  TopK: (node) => {
    const { axis, k } = node.attributes;
    const { shape } = along(node, number);
    demand(node, Number.isInteger(k) && k >= 1 && k <= (shape[axis] ?? 0), `k = ${k} is not within the axis`);
    return { dtype: "int32", shape: shape.with(axis, k) };
  },

  Reshape: (node) => {
    const [x] = node.inputs;
    const { shape } = node.attributes;
    demand(
      node,
      sizeOf(shape) === sizeOf(x.shape),
      `[${shape.join(", ")}] has ${sizeOf(shape)} elements instead of ${sizeOf(x.shape)}`,
    );
    return { dtype: x.dtype, shape };
  },
  Expand: (node) => {
    const [x] = node.inputs;
    const { shape } = node.attributes;
    const result = broadcastShapes(x.shape, shape);
    demand(node, result !== undefined && sameShape(result, shape), `it does not broadcast to [${shape.join(", ")}]`);
    return { dtype: x.dtype, shape };
  },
  Transpose: (node) => {
    const [x] = node.inputs;
    const { perm } = node.attributes;
    demand(
      node,
      sameShape(
        [...perm].sort((a, b) => a - b),
        [...x.shape.keys()],
      ),
      `[${perm.join(", ")}] is not a permutation of its axes`,
    );
    return { dtype: x.dtype, shape: perm.map((axis) => x.shape[axis] ?? 0) };
  },
  Concat: (node) => {
    const { axis } = node.attributes;
    const [first] = node.inputs;
    if (first === undefined) throw misfit(node, "there is nothing to join");
    demand(node, axis < first.shape.length, `axis ${axis} is outside its rank`);
    for (const value of node.inputs) {
      const fits =
        value.dtype === first.dtype &&
        value.shape.length === first.shape.length &&
        first.shape.every((dim, i) => i === axis || dim === value.shape[i]);
      demand(node, fits, `all operands must have one dtype and equal sizes outside axis ${axis}`);
    }
    const size = node.inputs.reduce((sum, value) => sum + (value.shape[axis] ?? 0), 0);
    return { dtype: first.dtype, shape: first.shape.with(axis, size) };
  },
  Slice: (node) => {
    const { axis, start, end } = node.attributes;
    const { dtype, shape } = along(node, ["float32", "int32", "bool"]);
    const size = shape[axis] ?? 0;
    demand(
      node,
      0 <= start && start <= end && end <= size,
      `${start}..${end} is not within the ${size} elements of axis ${axis}`,
    );
    return { dtype, shape: shape.with(axis, end - start) };
  },
  Pad: (node) => {
    const { axis, before, after } = node.attributes;
    const { dtype, shape } = along(node, number);
    demand(node, before >= 0 && after >= 0, "it cannot remove elements: use slice");
    return { dtype, shape: shape.with(axis, (shape[axis] ?? 0) + before + after) };
  },
  Gather: (node) => {
    const [table, ids] = node.inputs;
    const { axis } = node.attributes;
    demand(node, ids.dtype === "int32", "ids must be int32");
    demand(node, axis < table.shape.length, `axis ${axis} is outside its rank`);
    return { dtype: table.dtype, shape: [...table.shape.slice(0, axis), ...ids.shape, ...table.shape.slice(axis + 1)] };
  },
  GatherElements: (node) => {
    const [x, indices] = node.inputs;
    fitElements(node, x, indices, node.attributes.axis);
    return { dtype: x.dtype, shape: indices.shape };
  },
  ScatterElements: (node) => {
    const [x, indices, updates] = node.inputs;
    fitElements(node, x, indices, node.attributes.axis);
    demand(
      node,
      sameShape(indices.shape, updates.shape) && updates.dtype === x.dtype,
      "updates must have the shape of indices and the dtype of x",
    );
    return { dtype: x.dtype, shape: x.shape };
  },
  Trilu: (node) => {
    demand(node, node.inputs[0].shape.length >= 2, "it needs at least two axes");
    return same(node, ["float32", "int32", "bool"]);
  },
};

function demand(node: Node, holds: boolean, otherwise: string): void {
  if (!holds) throw misfit(node, otherwise);
}

function misfit(node: Node, reason: string): GraphError {
  const operands = node.inputs.map((value) => `${value.dtype}[${value.shape.join(", ")}]`).join(", ");
  return new GraphError(`${node.op}(${operands}): ${reason}`);
}

function same(node: Node<UnaryOp>, dtypes: readonly DType[] = ["float32"]): ValueType {
  const [x] = node.inputs;
  demand(node, dtypes.includes(x.dtype), `its operand must be ${dtypes.join(" or ")}`);
  return { dtype: x.dtype, shape: x.shape };
}

function along(node: Node<AxisOp>, dtypes: readonly DType[] = ["float32"]): ValueType {
  const { axis } = node.attributes;
  demand(
    node,
    Number.isInteger(axis) && axis >= 0 && axis < node.inputs[0].shape.length,
    `axis ${axis} is outside its rank`,
  );
  return same(node, dtypes);
}

function broadcast(node: Node<BinaryOp>, dtypes: readonly DType[]): ValueType {
  const [a, b] = node.inputs;
  demand(node, a.dtype === b.dtype && dtypes.includes(a.dtype), `both operands must be ${dtypes.join(" or both ")}`);
  const shape = broadcastShapes(a.shape, b.shape);
  if (shape === undefined) throw misfit(node, "the shapes do not broadcast");
  return { dtype: a.dtype, shape };
}

function reduced(
  node: Node<"ReduceSum" | "ReduceSumSquare" | "ReduceMean" | "ReduceMax">,
  dtypes: readonly DType[],
): ValueType {
  const { dtype, shape } = same(node, dtypes);
  const { axes, keepdims } = node.attributes;
  demand(
    node,
    axes.every((axis) => axis >= 0 && axis < shape.length),
    `axes [${axes.join(", ")}] are outside its rank`,
  );
  return { dtype, shape: shape.flatMap((dim, axis) => (!axes.includes(axis) ? [dim] : keepdims ? [1] : [])) };
}

function fitElements(node: Node, x: Value, indices: Value, axis: number): void {
  demand(node, indices.dtype === "int32", "indices must be int32");
  const fits =
    x.shape.length === indices.shape.length &&
    axis < x.shape.length &&
    x.shape.every((dim, i) => i === axis || (indices.shape[i] ?? 0) <= dim);
  demand(node, fits, `indices must have the rank of x and be no larger outside axis ${axis}`);
}

function lastTwo(shape: readonly number[]): [rows: number, columns: number] {
  return [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
}

/** Operations with one operand, two operands, and one operand and an axis, found from their declarations. */
type OpsWith<Inputs, Attributes = unknown> = {
  [O in OpName]: Node<O> extends { inputs: Inputs; attributes: Attributes } ? O : never;
}[OpName];
type UnaryOp = OpsWith<readonly [Value]>;
type BinaryOp = OpsWith<readonly [Value, Value]>;
type AxisOp = OpsWith<readonly [Value], { readonly axis: number }>;
