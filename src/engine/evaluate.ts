import { applyRule, type Node, type OpName } from "../graph/value.js";
import { sizeOf } from "../tensor.js";

/** Elements of any dtype as float64 (bool as 0 and 1), row-major. */
export interface Elements {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** What a node computes from its operands' elements. `shape` is the shape of its result. */
export function evaluateNode(node: Node, shape: readonly number[], operands: readonly Elements[]): Elements {
  const data = applyRule(evaluateRules, node, shape, operands);
  return { shape, data };
}

type EvaluateRules = {
  readonly [O in OpName]: (node: Node<O>, shape: readonly number[], operands: readonly Elements[]) => Float64Array;
};

const evaluateRules: EvaluateRules = {
  Input: () => new Float64Array(0),
  Constant: ({ attributes: { tensor } }) => Float64Array.from(tensor.data),

  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: (node, shape, operands) => {
    const integers = node.inputs[0].dtype === "int32";
    return binary((a, b) => (integers ? Math.trunc(a / b) : a / b))(node, shape, operands);
  },
  Pow: binary((a, b) => a ** b),
  Min: binary(Math.min),
  Max: binary(Math.max),
  Equal: binary((a, b) => Number(a === b)),
  Less: binary((a, b) => Number(a < b)),
  Greater: binary((a, b) => Number(a > b)),
  And: binary((a, b) => a & b),
  Or: binary((a, b) => a | b),
  Not: unary((x) => 1 - x),
  Where: (_, shape, operands) => elementwise(shape, operands, ([c = 0, a = 0, b = 0]) => (c !== 0 ? a : b)),

  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Sign: unary(Math.sign),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Tanh: unary(Math.tanh),
  Sigmoid: unary(logistic),
  Softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  Erf: unary(errorFunction),
  Relu: unary((x) => Math.max(x, 0)),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Silu: unary((x) => x * logistic(x)),
  Gelu: (node, shape, operands) => {
    const tanhForm = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    const exactForm = (x: number) => 0.5 * x * (1 + errorFunction(x * Math.SQRT1_2));
    return unary(node.attributes.approximate === "tanh" ? tanhForm : exactForm)(node, shape, operands);
  },
  StopGradient: unary((x) => x),
  Clip: (node, shape, operands) => {
    const { min, max } = node.attributes;
    return unary((x) => Math.min(Math.max(x, min), max))(node, shape, operands);
  },
  Cast: (node, shape, operands) => {
    const { to } = node.attributes;
    const convert = { float32: (x: number) => x, int32: Math.trunc, bool: (x: number) => Number(x !== 0) }[to];
    return unary(convert)(node, shape, operands);
  },

  FusedMatMul: ({ attributes: { transA, transB, alpha } }, shape, operands) => {
    const [a, b] = two(operands);
    const [rows = 1, columns = 1] = shape.slice(-2);
    const inner = a.shape.at(transA ? -2 : -1) ?? 1;
    const batch = shape.slice(0, -2);
    const result = new Float64Array(sizeOf(shape));
    const [matricesOfA, matricesOfB] = [offsets(batch, a.shape.slice(0, -2)), offsets(batch, b.shape.slice(0, -2))];
    for (let matrix = 0; matrix < sizeOf(batch); matrix++) {
      const startOfA = at(matricesOfA, matrix) * rows * inner;
      const startOfB = at(matricesOfB, matrix) * inner * columns;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) {
            const left = at(a.data, startOfA + (transA ? k * rows + i : i * inner + k));
            sum += left * at(b.data, startOfB + (transB ? j * inner + k : k * columns + j));
          }
          result[(matrix * rows + i) * columns + j] = alpha * sum;
        }
      }
    }
    return result;
  },
  Softmax: ({ attributes: { axis } }, _, operands) => {
    return alongAxis(one(operands), axis, (line) => {
      const largest = line.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const weights = line.map((x) => Math.exp(x - largest));
      const total = sum(weights);
      return weights.map((weight) => weight / total);
    });
  },
  LogSoftmax: ({ attributes: { axis } }, _, operands) => {
    return alongAxis(one(operands), axis, (line) => {
      const largest = line.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const logTotal = Math.log(sum(line.map((x) => Math.exp(x - largest))));
      return line.map((x) => x - largest - logTotal);
    });
  },
  LayerNormalization: ({ attributes: { epsilon } }, shape, operands) => {
    const [x, scale, bias] = operands;
    if (x === undefined || scale === undefined || bias === undefined) throw missing();
    return alongAxis(x, shape.length - 1, (line) => {
      const mean = sum(line) / line.length;
      const variance = sum(line.map((element) => (element - mean) ** 2)) / line.length;
      return line.map(
        (element, i) => ((element - mean) / Math.sqrt(variance + epsilon)) * at(scale.data, i) + at(bias.data, i),
      );
    });
  },
  RMSNormalization: ({ attributes: { epsilon } }, shape, operands) => {
    const [x, scale] = two(operands);
    return alongAxis(x, shape.length - 1, (line) => {
      const rms = Math.sqrt(sum(line.map((element) => element ** 2)) / line.length + epsilon);
      return line.map((element, i) => (element / rms) * at(scale.data, i));
    });
  },
  RotaryEmbedding: (_, [, heads = 1, length = 1, size = 1], [x, cos, sin]) => {
    if (x === undefined || cos === undefined || sin === undefined) throw missing();
    const half = size / 2;
    return x.data.map((element, i) => {
      const [column, row] = [i % size, Math.floor(i / size)];
      const token = Math.floor(row / (heads * length)) * length + (row % length);
      const angle = token * half + (column % half);
      const partner = column < half ? -at(x.data, i + half) : at(x.data, i - half);
      return element * at(cos.data, angle) + partner * at(sin.data, angle);
    });
  },

  ReduceSum: reduction(
    (total) => total,
    (a, b) => a + b,
    0,
  ),
  ReduceSumSquare: reduction(
    (total) => total,
    (a, b) => a + b * b,
    0,
  ),
  ReduceMean: reduction(
    (total, count) => total / count,
    (a, b) => a + b,
    0,
  ),
  ReduceMax: reduction((largest) => largest, Math.max, Number.NEGATIVE_INFINITY),
  CumSum: ({ attributes: { axis, reverse } }, _, operands) => {
    return alongAxis(one(operands), axis, (line) => {
      let total = 0;
      const sums = (reverse ? line.toReversed() : line).map((element) => (total += element));
      return reverse ? sums.reverse() : sums;
    });
  },
  ArgMax: ({ attributes: { axis } }, _, operands) =>
    alongAxis(one(operands), axis, (line) => Float64Array.of(at(ranking(line), 0))),
  TopK: ({ attributes: { axis, k } }, _, operands) =>
    alongAxis(one(operands), axis, (line) => ranking(line).subarray(0, k)),

  Reshape: (_, __, operands) => one(operands).data,
  Expand: unary((x) => x),
  Transpose: ({ attributes: { perm } }, shape, operands) => {
    const x = one(operands);
    const steps = strides(x.shape);
    return indexed(
      shape,
      perm.map((axis) => at(steps, axis)),
      x.data,
    );
  },
  Concat: ({ attributes: { axis } }, shape, operands) => {
    const result = new Float64Array(sizeOf(shape));
    const row = sizeOf(shape.slice(axis));
    let start = 0;
    for (const { shape: piece, data } of operands) {
      const width = sizeOf(piece.slice(axis));
      for (let i = 0; i * width < data.length; i++)
        result.set(data.subarray(i * width, (i + 1) * width), i * row + start);
      start += width;
    }
    return result;
  },
  Slice: ({ attributes: { axis, start, end } }, _, operands) =>
    alongAxis(one(operands), axis, (line) => line.subarray(start, end)),
  Pad: ({ attributes: { axis, before, after, value } }, _, operands) =>
    alongAxis(one(operands), axis, (line) => {
      const padded = new Float64Array(before + line.length + after).fill(value);
      padded.set(line, before);
      return padded;
    }),
  Gather: ({ attributes: { axis } }, shape, operands) => {
    const [table, ids] = two(operands);
    const inner = sizeOf(table.shape.slice(axis + 1));
    const size = table.shape[axis] ?? 0;
    const outer = sizeOf(table.shape.slice(0, axis));
    const result = new Float64Array(sizeOf(shape));
    for (let i = 0; i < outer; i++) {
      ids.data.forEach((id, j) => {
        const start = (i * size + wrapped(id, size)) * inner;
        result.set(table.data.subarray(start, start + inner), (i * ids.data.length + j) * inner);
      });
    }
    return result;
  },
  GatherElements: ({ attributes: { axis } }, _, operands) => {
    const [x, indices] = two(operands);
    return Float64Array.from(elementOffsets(x.shape, indices, axis), (offset) => at(x.data, offset));
  },
  ScatterElements: ({ attributes: { axis, reduction } }, _, [x, indices, updates]) => {
    if (x === undefined || indices === undefined || updates === undefined) throw missing();
    const result = x.data.slice();
    elementOffsets(x.shape, indices, axis).forEach((offset, i) => {
      result[offset] = at(updates.data, i) + (reduction === "add" ? at(result, offset) : 0);
    });
    return result;
  },
  Trilu: ({ attributes: { upper, k } }, shape, operands) => {
    const [rows = 1, columns = 1] = shape.slice(-2);
    return one(operands).data.map((element, i) => {
      const diagonal = (i % columns) - (Math.floor(i / columns) % rows);
      return (upper ? diagonal >= k : diagonal <= k) ? element : 0;
    });
  },
};

type Rule = (node: Node, shape: readonly number[], operands: readonly Elements[]) => Float64Array;

function unary(f: (x: number) => number): Rule {
  return (_, shape, operands) => elementwise(shape, operands, ([x = 0]) => f(x));
}

function binary(f: (a: number, b: number) => number): Rule {
  return (_, shape, operands) => elementwise(shape, operands, ([a = 0, b = 0]) => f(a, b));
}

function elementwise(
  shape: readonly number[],
  operands: readonly Elements[],
  f: (elements: readonly number[]) => number,
): Float64Array {
  const spread = operands.map((operand) => indexed(shape, broadcastStrides(shape, operand.shape), operand.data));
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => f(spread.map((data) => at(data, i))));
}

function reduction(
  finish: (total: number, count: number) => number,
  join: (a: number, b: number) => number,
  start: number,
) {
  return (
    node: Node<"ReduceSum" | "ReduceSumSquare" | "ReduceMean" | "ReduceMax">,
    shape: readonly number[],
    operands: readonly Elements[],
  ): Float64Array => {
    const x = one(operands);
    const kept = x.shape.map((dim, axis) => (node.attributes.axes.includes(axis) ? 1 : dim));
    const result = new Float64Array(sizeOf(shape)).fill(start);
    const places = offsets(x.shape, kept);
    x.data.forEach((element, i) => {
      const place = at(places, i);
      result[place] = join(at(result, place), element);
    });
    return result.map((total) => finish(total, x.data.length / result.length));
  };
}

/** Applies f to every line along an axis; f may change the line's length. */
function alongAxis(x: Elements, axis: number, f: (line: Float64Array) => Float64Array): Float64Array {
  const size = x.shape[axis] ?? 1;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  let result = new Float64Array(0);
  for (let line = 0; line < outer * inner; line++) {
    const [i, j] = [Math.floor(line / inner), line % inner];
    const changed = f(Float64Array.from({ length: size }, (_, k) => at(x.data, (i * size + k) * inner + j)));
    if (line === 0) result = new Float64Array(outer * inner * changed.length);
    changed.forEach((element, k) => {
      result[(i * changed.length + k) * inner + j] = element;
    });
  }
  return result;
}

/** Indices of a line's elements from the largest to the smallest; equal ones in their order. */
function ranking(line: Float64Array): Float64Array {
  return Float64Array.from([...line.keys()].sort((a, b) => at(line, b) - at(line, a) || a - b));
}

/** Where in x each index along the axis points. */
function elementOffsets(shape: readonly number[], indices: Elements, axis: number): Int32Array {
  const steps = strides(shape);
  const withoutAxis = offsets(
    indices.shape,
    undefined,
    steps.map((step, i) => (i === axis ? 0 : step)),
  );
  return withoutAxis.map((offset, i) => offset + wrapped(at(indices.data, i), shape[axis] ?? 0) * at(steps, axis));
}

/** The elements of `data` that a walk over `shape` with these strides meets. */
function indexed(shape: readonly number[], steps: readonly number[], data: Float64Array): Float64Array {
  return Float64Array.from(offsets(shape, undefined, steps), (offset) => at(data, offset));
}

/** Offsets met by a row-major walk over `shape`, in an array of a shape that broadcasts to it or with given strides. */
function offsets(
  shape: readonly number[],
  from: readonly number[] = [],
  steps: readonly number[] = broadcastStrides(shape, from),
): Int32Array {
  const result = new Int32Array(sizeOf(shape));
  const position = shape.map(() => 0);
  let offset = 0;
  for (let i = 0; i < result.length; i++) {
    result[i] = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += at(steps, axis);
      position[axis] = at(position, axis) + 1;
      if (at(position, axis) < at(shape, axis)) break;
      offset -= at(steps, axis) * at(shape, axis);
      position[axis] = 0;
    }
  }
  return result;
}

function broadcastStrides(shape: readonly number[], from: readonly number[]): number[] {
  const steps = strides(from);
  const extra = shape.length - from.length;
  return shape.map((_, axis) => (axis < extra || from[axis - extra] === 1 ? 0 : at(steps, axis - extra)));
}

function strides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

function wrapped(index: number, size: number): number {
  if (index < -size || index >= size) throw new RangeError(`index ${index} is outside an axis of ${size} elements`);
  return index < 0 ? index + size : index;
}

/** erf by its series for small |x| and its continued fraction for large |x| (Abramowitz and Stegun 7.1.6 and 7.1.14). */
function errorFunction(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = size;
    let total = size;
    for (let n = 1; term > total * 1e-17; n++) {
      term *= (2 * size * size) / (2 * n + 1);
      total += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * total;
  }
  let fraction = size;
  for (let n = 120; n >= 1; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-size * size) / (fraction * Math.sqrt(Math.PI)));
}

function logistic(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

function sum(line: Float64Array): number {
  return line.reduce((total, element) => total + element, 0);
}

function at(data: ArrayLike<number>, index: number): number {
  const element = data[index];
  if (element === undefined) throw new RangeError(`index ${index} is outside ${data.length} elements`);
  return element;
}

function one([x]: readonly Elements[]): Elements {
  if (x === undefined) throw missing();
  return x;
}

function two([a, b]: readonly Elements[]): [Elements, Elements] {
  if (a === undefined || b === undefined) throw missing();
  return [a, b];
}

const missing = (): Error => new RangeError("an operand is missing");
