import type { DType, Tensor } from "../tensor.js";

interface Op<Inputs extends readonly Value[], Attributes = Record<never, never>> {
  readonly inputs: Inputs;
  readonly attributes: Attributes;
}
type Nullary = readonly [];
type Unary = readonly [x: Value];
type Binary = readonly [a: Value, b: Value];
interface Axis {
  readonly axis: number;
}
interface Reduction {
  readonly axes: readonly number[];
  readonly keepdims: boolean;
}

/**
 * Every operation there is, with its operands and attributes. Axes are never negative here and shapes are static
 * (ops.ts makes them so). Every operation has one result.
 */
export interface Ops {
  Input: Op<Nullary, { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }>;
  Constant: Op<Nullary, { readonly tensor: Tensor }>;

  Add: Op<Binary>;
  Sub: Op<Binary>;
  Mul: Op<Binary>;
  Div: Op<Binary>;
  Pow: Op<Binary>;
  Min: Op<Binary>;
  Max: Op<Binary>;
  Equal: Op<Binary>;
  Less: Op<Binary>;
  Greater: Op<Binary>;
  And: Op<Binary>;
  Or: Op<Binary>;
  Not: Op<Unary>;
  Where: Op<readonly [condition: Value, whenTrue: Value, whenFalse: Value]>;

  Neg: Op<Unary>;
  Abs: Op<Unary>;
  Sign: Op<Unary>;
  Exp: Op<Unary>;
  Log: Op<Unary>;
  Sqrt: Op<Unary>;
  Reciprocal: Op<Unary>;
  Tanh: Op<Unary>;
  Sigmoid: Op<Unary>;
  Softplus: Op<Unary>;
  Erf: Op<Unary>;
  Relu: Op<Unary>;
  Sin: Op<Unary>;
  Cos: Op<Unary>;
  /** x * sigmoid(x) */
  Silu: Op<Unary>;
  Gelu: Op<Unary, { readonly approximate: "none" | "tanh" }>;
  /** The elements of x, through which no gradient flows. */
  StopGradient: Op<Unary>;
  Clip: Op<Unary, { readonly min: number; readonly max: number }>;
  Cast: Op<Unary, { readonly to: DType }>;

  FusedMatMul: Op<Binary, { readonly transA: boolean; readonly transB: boolean; readonly alpha: number }>;
  Softmax: Op<Unary, Axis>;
  LogSoftmax: Op<Unary, Axis>;
  LayerNormalization: Op<readonly [x: Value, scale: Value, bias: Value], { readonly epsilon: number }>;
  RMSNormalization: Op<readonly [x: Value, scale: Value], { readonly epsilon: number }>;
  RotaryEmbedding: Op<readonly [x: Value, cos: Value, sin: Value]>;

  ReduceSum: Op<Unary, Reduction>;
  ReduceSumSquare: Op<Unary, Reduction>;
  ReduceMean: Op<Unary, Reduction>;
  ReduceMax: Op<Unary, Reduction>;
  CumSum: Op<Unary, Axis & { readonly reverse: boolean }>;
  ArgMax: Op<Unary, Axis & { readonly keepdims: boolean }>;
  TopK: Op<Unary, Axis & { readonly k: number }>;

  Reshape: Op<Unary, { readonly shape: readonly number[] }>;
  Expand: Op<Unary, { readonly shape: readonly number[] }>;
  Transpose: Op<Unary, { readonly perm: readonly number[] }>;
  Concat: Op<readonly Value[], Axis>;
  Slice: Op<Unary, Axis & { readonly start: number; readonly end: number }>;
  Pad: Op<Unary, Axis & { readonly before: number; readonly after: number; readonly value: number }>;
  Gather: Op<readonly [table: Value, ids: Value], Axis>;
  GatherElements: Op<readonly [x: Value, indices: Value], Axis>;
  ScatterElements: Op<
    readonly [x: Value, indices: Value, updates: Value],
    Axis & { readonly reduction: "none" | "add" }
  >;
  Trilu: Op<Unary, { readonly upper: boolean; readonly k: number }>;
}

export type OpName = keyof Ops;

/** One application of an operation; a union over all operations unless one is named. */
export type Node<O extends OpName = OpName> = {
  [K in O]: { readonly op: K; readonly inputs: Ops[K]["inputs"]; readonly attributes: Ops[K]["attributes"] };
}[O];

/** Looks a node's rule up in a table with one rule per operation. A table that lacks an operation does not compile. */
export type RuleTable<Arguments extends readonly unknown[], Result> = {
  readonly [O in OpName]: (node: Node<O>, ...rest: Arguments) => Result;
};

/** Applies the rule that `table` has for the node's operation. */
export function applyRule<O extends OpName, Arguments extends readonly unknown[], Result>(
  table: { readonly [K in O]: (node: Node<K>, ...rest: Arguments) => Result },
  node: Node<O>,
  ...rest: Arguments
): Result {
  const rule: (node: Node<O>, ...rest: Arguments) => Result = table[node.op];
  return rule(node, ...rest);
}

/** Makes values; implemented by Graph. */
export interface ValueFactory {
  /** Adds a node, or finds the equal one that is already there. */
  add(node: Node): Value;
  /** A constant tensor, or a number as a float32 scalar. */
  constant(value: Tensor | number): Value;
}

/** What a node computes: a tensor whose dtype and shape are known now and whose elements are known when a program runs. */
export class Value {
  /** Use the functions of ops.ts; they check their arguments. */
  constructor(
    readonly graph: ValueFactory,
    /** Position in the graph: operands have smaller ids than results. */
    readonly id: number,
    readonly node: Node,
    readonly dtype: DType,
    readonly shape: readonly number[],
  ) {}

  /** For example `%12 MatMul float32[8, 32, 576]`. */
  toString(): string {
    return `%${this.id} ${this.node.op} ${this.dtype}[${this.shape.join(", ")}]`;
  }
}

/** Something is wrong with how a graph is put together: shapes, dtypes, axes, names. */
export class GraphError extends Error {
  override name = "GraphError";
}

/** Whether two shapes are equal. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}
