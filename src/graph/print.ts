import type { Program } from "./program.js";
import { applyRule, type Node, type OpName, type RuleTable } from "./value.js";

/**
 * A program as text, one line per value in the order of computation; values are numbered from 0 in that order:
 * ```
 * %0 = Input "x" : float32[2, 3]
 * %1 = Exp %0 : float32[2, 3]
 * return y = %1
 * ```
 */
export function print(program: Program): string {
  const numbers = new Map(program.values.map((value, index) => [value, `%${index}`]));
  const lines = program.values.map((value) => {
    const operands = value.node.inputs.map((input) => numbers.get(input));
    const words = [value.node.op, ...operands, applyRule(attributeRules, value.node)].filter((word) => word !== "");
    return `${numbers.get(value)} = ${words.join(" ")} : ${value.dtype}[${value.shape.join(", ")}]`;
  });
  const results = [...program.outputs].map(([name, value]) => `${name} = ${numbers.get(value)}`);
  return `${[...lines, `return ${results.join(", ")}`].join("\n")}\n`;
}

const none = (): string => "";
const list = (numbers: readonly number[]): string => `[${numbers.join(", ")}]`;
const axis = ({ attributes }: { attributes: { axis: number } }): string => `axis=${attributes.axis}`;
const epsilon = ({ attributes }: { attributes: { epsilon: number } }): string => `epsilon=${attributes.epsilon}`;
const reduction = ({ attributes }: Node<"ReduceSum" | "ReduceSumSquare" | "ReduceMean" | "ReduceMax">): string =>
  `axes=${list(attributes.axes)}${attributes.keepdims ? " keepdims" : ""}`;

const attributeRules: RuleTable<[], string> = {
  Input: ({ attributes }) => JSON.stringify(attributes.name),
  Constant: ({ attributes: { tensor } }) => {
    const shown = [...tensor.data.subarray(0, 4)].map((element) => String(element));
    return shown.length < tensor.data.length ? `${shown.join(", ")}, ...` : shown.join(", ");
  },
  FusedMatMul: ({ attributes: { transA, transB, alpha } }) =>
    [transA ? "transA" : "", transB ? "transB" : "", alpha === 1 ? "" : `alpha=${alpha}`].filter(Boolean).join(" "),
  Gelu: ({ attributes }) => (attributes.approximate === "tanh" ? "tanh" : ""),
  Clip: ({ attributes: { min, max } }) => `${min}..${max}`,
  Cast: none,
  Softmax: axis,
  LogSoftmax: axis,
  LayerNormalization: epsilon,
  RMSNormalization: epsilon,
  ReduceSum: reduction,
  ReduceSumSquare: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  CumSum: (node) => `${axis(node)}${node.attributes.reverse ? " reverse" : ""}`,
  ArgMax: axis,
  TopK: (node) => `k=${node.attributes.k} ${axis(node)}`,
  Reshape: none,
  Expand: none,
  Transpose: ({ attributes }) => `perm=${list(attributes.perm)}`,
  Concat: axis,
  Slice: (node) => `${axis(node)} ${node.attributes.start}..${node.attributes.end}`,
  Pad: (node) =>
    `${axis(node)} before=${node.attributes.before} after=${node.attributes.after} value=${node.attributes.value}`,
  Gather: axis,
  GatherElements: axis,
  ScatterElements: (node) => `${axis(node)}${node.attributes.reduction === "add" ? " add" : ""}`,
  Trilu: ({ attributes: { upper, k } }) => `${upper ? "upper" : "lower"} k=${k}`,
  ...sameForAll(
    ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Equal", "Less", "Greater", "And", "Or", "Not", "Where"],
    none,
  ),
  ...sameForAll(["Neg", "Abs", "Sign", "Exp", "Log", "Sqrt", "Reciprocal", "Tanh", "Sigmoid", "Softplus"], none),
  ...sameForAll(["Erf", "Relu", "Silu", "Sin", "Cos", "StopGradient", "RotaryEmbedding"], none),
};

function sameForAll<O extends OpName>(ops: readonly O[], rule: () => string): { [K in O]: () => string } {
  return Object.fromEntries(ops.map((op) => [op, rule])) as { [K in O]: () => string };
}
