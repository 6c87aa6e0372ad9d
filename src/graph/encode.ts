import type { DType, Tensor } from "../tensor.js";
import type { Program } from "./program.js";
import { ProtobufWriter } from "./protobuf.js";
import { applyRule, type Node, type OpName, type Value } from "./value.js";

/** ONNX opset the encoder writes: the last one for which onnxruntime has all CPU kernels. */
const OPSET = 21;
const MICROSOFT = "com.microsoft";

/** The name an input or output of a program has in its ONNX model; the prefix keeps the two apart. */
export const onnxInputName = (name: string): string => `in.${name}`;
export const onnxOutputName = (name: string): string => `out.${name}`;

/** A program as an ONNX model (a serialised ModelProto). Bytes of constants are copied into it. */
export function encode(program: Program): Uint8Array {
  const encoder = new Encoder(program);
  for (const value of program.values) encoder.add(value);
  for (const [name, value] of program.outputs) encoder.output(name, value);
  return new ProtobufWriter()
    .int(ModelProto.irVersion, 10)
    .string(ModelProto.producerName, "policyscope")
    .message(ModelProto.graph, (graph) => encoder.write(graph, program))
    .message(ModelProto.opsetImport, (opset) => opset.string(1, "").int(2, OPSET))
    .message(ModelProto.opsetImport, (opset) => opset.string(1, MICROSOFT).int(2, 1))
    .finish();
}

type Attribute = number | { readonly float: number } | string | readonly number[];

interface OnnxNode {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly domain: string;
}

interface Initializer {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/** Collects ONNX nodes and initializers; a result is called `%id` of its value, or by its output's name. */
class Encoder {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, Initializer>();

  /** Results that are outputs under one name are computed straight into it. */
  readonly #outputs = new Map<Value, string>();

  constructor(program: Program) {
    for (const [name, value] of program.outputs) {
      const computed = value.node.op !== "Input" && value.node.op !== "Constant";
      if (computed && !this.#outputs.has(value)) this.#outputs.set(value, onnxOutputName(name));
    }
  }

  /** What a value is called in the model. */
  name(value: Value): string {
    const { node } = value;
    return node.op === "Input" ? onnxInputName(node.attributes.name) : (this.#outputs.get(value) ?? `%${value.id}`);
  }

  add(value: Value): void {
    applyRule(encodeRules, value.node, this, value);
  }

  output(name: string, value: Value): void {
    if (this.#outputs.get(value) === onnxOutputName(name)) return;
    this.#nodes.push(node("Identity", [this.name(value)], [onnxOutputName(name)]));
  }

  /** Adds a node that computes the value. */
  emit(
    value: Value,
    opType: string,
    extra: { inputs?: readonly string[]; attributes?: Readonly<Record<string, Attribute>>; domain?: string } = {},
  ): void {
    const inputs = extra.inputs ?? value.node.inputs.map((input) => this.name(input));
    this.#nodes.push(node(opType, inputs, [this.name(value)], extra.attributes, extra.domain));
  }

  /** Adds an extra node whose result has a name of its own; returns that name. */
  helper(
    value: Value,
    suffix: string,
    opType: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
  ): string {
    const name = `${this.name(value)}.${suffix}`;
    this.#nodes.push(node(opType, inputs, [name], attributes));
    return name;
  }

  /** An int64 vector (or scalar) constant, shared between nodes: what ONNX wants for shapes, axes and bounds. */
  int64(numbers: readonly number[], dims: readonly number[] = [numbers.length]): string {
    const name = `i64[${dims}]:${numbers}`;
    const data = new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
    this.#initializers.set(name, { name, type: TensorType.int64, dims, data });
    return name;
  }

  /** A scalar constant, shared between nodes. */
  scalar(dtype: "float32" | "int32" | "bool", number: number): string {
    const name = `${dtype}:${number}`;
    const bytes = { float32: Float32Array.of(number), int32: Int32Array.of(number), bool: Uint8Array.of(number) }[
      dtype
    ];
    this.#initializers.set(name, { name, type: TensorType[dtype], dims: [], data: new Uint8Array(bytes.buffer) });
    return name;
  }

  /** Adds a TopK; returns the name of its int64 indices (its values are not used). */
  topK(value: Value, x: string, axis: number, k: number): string {
    const name = `${this.name(value)}.int64`;
    this.#nodes.push(
      node("TopK", [x, this.int64([k])], [`${this.name(value)}.values`, name], { axis, largest: 1, sorted: 1 }),
    );
    return name;
  }

  constant(name: string, tensor: Tensor): void {
    const { buffer, byteOffset, byteLength } = tensor.data;
    const data = new Uint8Array(buffer, byteOffset, byteLength);
    this.#initializers.set(name, { name, type: TensorType[tensor.dtype], dims: tensor.shape, data });
  }

  write(graph: ProtobufWriter, program: Program): void {
    for (const node of this.#nodes) graph.message(GraphProto.node, (message) => writeNode(message, node));
    graph.string(GraphProto.name, "program");
    for (const { name, type, dims, data } of this.#initializers.values()) {
      graph.message(GraphProto.initializer, (message) => {
        for (const dim of dims) message.int(1, dim);
        message.int(2, type).string(8, name).bytes(9, data);
      });
    }
    for (const { name, dtype, shape } of program.inputs) {
      graph.message(GraphProto.input, (message) => writeType(message, onnxInputName(name), dtype, shape));
    }
    for (const [name, { dtype, shape }] of program.outputs) {
      graph.message(GraphProto.output, (message) => writeType(message, onnxOutputName(name), dtype, shape));
    }
  }
}

const node = (
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  domain = "",
): OnnxNode => ({ opType, inputs, outputs, attributes, domain });

type EncodeRules = { readonly [O in OpName]: (node: Node<O>, encoder: Encoder, value: Value) => void };

const plain = (node: Node, encoder: Encoder, value: Value): void => encoder.emit(value, node.op);
const axisOnly = (node: Node & { attributes: { axis: number } }, encoder: Encoder, value: Value): void =>
  encoder.emit(value, node.op, { attributes: { axis: node.attributes.axis } });
const reduction = (
  node: Node<"ReduceSum" | "ReduceSumSquare" | "ReduceMean" | "ReduceMax">,
  encoder: Encoder,
  value: Value,
): void => {
  const { axes, keepdims } = node.attributes;
  encoder.emit(value, node.op, {
    inputs: [encoder.name(node.inputs[0]), encoder.int64(axes)],
    attributes: { keepdims: keepdims ? 1 : 0 },
  });
};

const encodeRules: EncodeRules = {
  Input: () => {},
  Constant: ({ attributes: { tensor } }, encoder, value) => encoder.constant(encoder.name(value), tensor),

  Add: plain,
  Sub: plain,
  Mul: plain,
  Div: plain,
  Pow: plain,
  Min: plain,
  Max: plain,
  Equal: plain,
  Less: plain,
  Greater: plain,
  And: plain,
  Or: plain,
  Not: plain,
  Where: plain,
  Neg: plain,
  Abs: plain,
  Sign: plain,
  Exp: plain,
  Log: plain,
  Sqrt: plain,
  Reciprocal: plain,
  Tanh: plain,
  Sigmoid: plain,
  Softplus: plain,
  Erf: plain,
  Relu: plain,
  Sin: plain,
  Cos: plain,
  Silu: (_, encoder, value) =>
    encoder.emit(value, "QuickGelu", { attributes: { alpha: { float: 1 } }, domain: MICROSOFT }),
  Gelu: ({ attributes: { approximate } }, encoder, value) =>
    encoder.emit(value, "Gelu", { attributes: { approximate } }),
  StopGradient: (_, encoder, value) => encoder.emit(value, "Identity"),
  Clip: ({ inputs: [x], attributes: { min, max } }, encoder, value) =>
    encoder.emit(value, "Clip", {
      inputs: [encoder.name(x), encoder.scalar("float32", min), encoder.scalar("float32", max)],
    }),
  Cast: ({ attributes: { to } }, encoder, value) => encoder.emit(value, "Cast", { attributes: { to: TensorType[to] } }),

  FusedMatMul: ({ attributes: { transA, transB, alpha } }, encoder, value) => {
    if (!transA && !transB && alpha === 1) encoder.emit(value, "MatMul");
    else {
      const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
      encoder.emit(value, "FusedMatMul", { attributes, domain: MICROSOFT });
    }
  },
  Softmax: axisOnly,
  LogSoftmax: axisOnly,
  LayerNormalization: ({ attributes: { epsilon } }, encoder, value) =>
    encoder.emit(value, "LayerNormalization", { attributes: { axis: -1, epsilon: { float: epsilon } } }),
  RMSNormalization: ({ attributes: { epsilon } }, encoder, value) =>
    encoder.emit(value, "SimplifiedLayerNormalization", { attributes: { axis: -1, epsilon: { float: epsilon } } }),
  RotaryEmbedding: ({ inputs: [x, cos, sin] }, encoder, value) => {
    // The kernel looks rows of its caches up by position; ours are already one row per token.
    const [batch = 0, length = 0, half = 0] = cos.shape;
    const cache = encoder.int64([batch * length, half]);
    const inputs = [
      encoder.name(x),
      encoder.int64([...Array(batch * length).keys()], [batch, length]),
      encoder.helper(value, "cos", "Reshape", [encoder.name(cos), cache]),
      encoder.helper(value, "sin", "Reshape", [encoder.name(sin), cache]),
    ];
    encoder.emit(value, "RotaryEmbedding", { inputs, domain: MICROSOFT });
  },

  ReduceSum: reduction,
  ReduceSumSquare: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  CumSum: ({ inputs: [x], attributes: { axis, reverse } }, encoder, value) =>
    encoder.emit(value, "CumSum", {
      inputs: [encoder.name(x), encoder.int64([axis], [])],
      attributes: { reverse: reverse ? 1 : 0 },
    }),
  ArgMax: ({ inputs: [x], attributes: { axis, keepdims } }, encoder, value) => {
    const found = encoder.helper(value, "int64", "ArgMax", [encoder.name(x)], { axis, keepdims: keepdims ? 1 : 0 });
    encoder.emit(value, "Cast", { inputs: [found], attributes: { to: TensorType.int32 } });
  },
  TopK: ({ inputs: [x], attributes: { axis, k } }, encoder, value) => {
    const found = encoder.topK(value, encoder.name(x), axis, k);
    encoder.emit(value, "Cast", { inputs: [found], attributes: { to: TensorType.int32 } });
  },

  Reshape: ({ inputs: [x], attributes: { shape } }, encoder, value) =>
    encoder.emit(value, "Reshape", { inputs: [encoder.name(x), encoder.int64(shape)], attributes: { allowzero: 1 } }),
  Expand: ({ inputs: [x], attributes: { shape } }, encoder, value) =>
    encoder.emit(value, "Expand", { inputs: [encoder.name(x), encoder.int64(shape)] }),
  Transpose: ({ attributes: { perm } }, encoder, value) => encoder.emit(value, "Transpose", { attributes: { perm } }),
  Concat: axisOnly,
  Slice: ({ inputs: [x], attributes: { axis, start, end } }, encoder, value) =>
    encoder.emit(value, "Slice", {
      inputs: [encoder.name(x), encoder.int64([start]), encoder.int64([end]), encoder.int64([axis])],
    }),
  Pad: ({ inputs: [x], attributes: { axis, before, after, value: fill } }, encoder, value) => {
    const filler = encoder.scalar(x.dtype, fill);
    encoder.emit(value, "Pad", {
      inputs: [encoder.name(x), encoder.int64([before, after]), filler, encoder.int64([axis])],
    });
  },
  Gather: axisOnly,
  GatherElements: axisOnly,
  ScatterElements: ({ attributes: { axis, reduction } }, encoder, value) =>
    encoder.emit(value, "ScatterElements", { attributes: { axis, reduction } }),
  Trilu: ({ inputs: [x], attributes: { upper, k } }, encoder, value) =>
    encoder.emit(value, "Trilu", {
      inputs: [encoder.name(x), encoder.int64([k], [])],
      attributes: { upper: upper ? 1 : 0 },
    }),
};

const TensorType = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;
const ModelProto = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 } as const;
const GraphProto = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
const NodeProto = { input: 1, output: 2, opType: 4, attribute: 5, domain: 7 } as const;
const AttributeProto = { name: 1, f: 2, i: 3, s: 4, ints: 8, type: 20 } as const;
const AttributeType = { float: 1, int: 2, string: 3, ints: 7 } as const;

function writeNode(message: ProtobufWriter, { opType, inputs, outputs, attributes, domain }: OnnxNode): void {
  for (const name of inputs) message.string(NodeProto.input, name);
  for (const name of outputs) message.string(NodeProto.output, name);
  message.string(NodeProto.opType, opType);
  if (domain !== "") message.string(NodeProto.domain, domain);
  for (const [name, attribute] of Object.entries(attributes)) {
    message.message(NodeProto.attribute, (field) => writeAttribute(field.string(AttributeProto.name, name), attribute));
  }
}

function writeAttribute(message: ProtobufWriter, attribute: Attribute): void {
  if (typeof attribute === "number")
    message.int(AttributeProto.i, attribute).int(AttributeProto.type, AttributeType.int);
  else if (typeof attribute === "string")
    message.string(AttributeProto.s, attribute).int(AttributeProto.type, AttributeType.string);
  else if ("float" in attribute)
    message.float(AttributeProto.f, attribute.float).int(AttributeProto.type, AttributeType.float);
  else {
    for (const number of attribute) message.int(AttributeProto.ints, number);
    message.int(AttributeProto.type, AttributeType.ints);
  }
}

function writeType(message: ProtobufWriter, name: string, dtype: DType, shape: readonly number[]): void {
  message.string(1, name).message(2, (type) =>
    type.message(1, (tensorType) =>
      tensorType.int(1, TensorType[dtype]).message(2, (dims) => {
        for (const size of shape) dims.message(1, (dim) => dim.int(1, size));
      }),
    ),
  );
}
