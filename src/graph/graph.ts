import type { DType, Tensor } from "../tensor.js";
import { inferType, type ValueType } from "./shapes.js";
import { GraphError, type Node, sameShape, Value, type ValueFactory } from "./value.js";

/** Where values live. Equal nodes over equal operands are one value, so common subexpressions are shared as they are written. */
export class Graph implements ValueFactory {
  readonly #values = new Map<string, Value>();
  readonly #constants = new WeakMap<Tensor, number>();
  #nextId = 0;
  #nextConstant = 0;

  /**
   * Declares an input of the program by name. The same declaration twice is the same value.
   * @throws GraphError if the name was declared with another dtype or shape.
   */
  input(name: string, dtype: DType, shape: readonly number[]): Value {
    const value = this.add({ op: "Input", inputs: [], attributes: { name, dtype, shape } });
    if (value.dtype !== dtype || !sameShape(value.shape, shape)) {
      throw new GraphError(
        `input "${name}" was declared as ${value.dtype}[${value.shape.join(", ")}] and now as ${dtype}[${shape.join(", ")}]`,
      );
    }
    return value;
  }

  /** A constant: a tensor, or a number as a float32 scalar. Its elements become part of the program. */
  constant(value: Tensor | number): Value {
    const tensor: Tensor =
      typeof value === "number" ? { dtype: "float32", shape: [], data: Float32Array.of(value) } : value;
    return this.add({ op: "Constant", inputs: [], attributes: { tensor } });
  }

  /** Adds a node, or finds the equal one that is already there. Called by ops.ts. */
  add(node: Node): Value {
    const key = this.#key(node);
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    for (const input of node.inputs) {
      if (input.graph !== this) throw new GraphError(`${node.op}: its operand ${input} belongs to another graph`);
    }
    const type: ValueType = inferType(node);
    const value = new Value(this, this.#nextId++, node, type.dtype, type.shape);
    this.#values.set(key, value);
    return value;
  }

  #key(node: Node): string {
    if (node.op === "Input") return `Input ${node.attributes.name}`;
    if (node.op === "Constant") {
      const { tensor } = node.attributes;
      const [first] = tensor.data;
      if (tensor.data.length === 1 && first !== undefined) {
        return `Constant ${tensor.dtype} [${tensor.shape}] ${exactNumber("", first)}`;
      }
      let number = this.#constants.get(tensor);
      if (number === undefined) {
        number = this.#nextConstant++;
        this.#constants.set(tensor, number);
      }
      return `Constant #${number}`;
    }
    return `${node.op} ${node.inputs.map((input) => input.id)} ${JSON.stringify(node.attributes, exactNumber)}`;
  }
}

/** JSON has no -0, NaN or infinities; the key of a node must keep them apart. */
function exactNumber(_key: string, value: unknown): unknown {
  if (typeof value !== "number") return value;
  return Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value : String(value);
}
