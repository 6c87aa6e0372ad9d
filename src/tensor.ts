/** Element types a tensor can have. Token ids and indices are int32, masks are float32 or bool (0/1 bytes). */
export type DType = "float32" | "int32" | "bool";

/** The array that holds the elements of each element type, row-major. */
export interface Storage {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

/**
 * A dense array with a shape. Tensors are values: nobody writes into `data` after the tensor was made
 * (code that fills an array does so before it calls {@link tensor}).
 */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: Storage[D];
}

/** How many elements a shape has. The empty shape is a scalar: 1. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}

/**
 * Makes a tensor around an array, without copying it.
 * @throws RangeError if the array's length is not the product of the shape.
 */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: Storage[D]): Tensor<D> {
  if (data.length !== sizeOf(shape)) {
    throw new RangeError(
      `a ${dtype} tensor of shape [${shape.join(", ")}] has ${sizeOf(shape)} elements, not ${data.length}`,
    );
  }
  return Object.freeze({ dtype, shape: Object.freeze([...shape]), data });
}

/** A float32 tensor; plain numbers are accepted. */
export function float32(shape: readonly number[], data: Float32Array | readonly number[]): Tensor<"float32"> {
  return tensor("float32", shape, data instanceof Float32Array ? data : Float32Array.from(data));
}

/** An int32 tensor; plain numbers are accepted. */
export function int32(shape: readonly number[], data: Int32Array | readonly number[]): Tensor<"int32"> {
  return tensor("int32", shape, data instanceof Int32Array ? data : Int32Array.from(data));
}

/** Named parameters of a model: an immutable map, in the names of the Hugging Face layout. */
export type Params = ReadonlyMap<string, Tensor<"float32">>;
