/**
 * How episodes are laid out: as padded rows for the model, as one packed list of response tokens for the head (which is
 * the costly part, so it runs on nothing else), and as [B, T] tensors for people.
 */
import { float32, int32, type Tensor } from "../tensor.js";

/** Prompt and response of every episode, unpadded. */
export interface EpisodeIds {
  readonly queryIds: readonly (readonly number[])[];
  readonly responseIds: readonly (readonly number[])[];
}

/** How rows are padded; see the keys of the same names in the configuration. */
export interface RowPadding {
  readonly paddingSide: "left" | "right";
  readonly paddedPositions: boolean;
}

/** Some episodes of a batch, ready for the model. */
export interface PackedEpisodes {
  /** [b, L] */
  readonly inputIds: Tensor<"int32">;
  /** [b, L] */
  readonly positionIds: Tensor<"int32">;
  /** [b, L] 1 for real tokens */
  readonly attentionMask: Tensor<"float32">;
  /** [N] where, in the rows laid end to end, the position is that predicts each response token; N has room to spare. */
  readonly positions: Tensor<"int32">;
  /** [N] the response tokens */
  readonly tokens: Tensor<"int32">;
  /** For each response token, its place in a [b, T] tensor; the rest of N is padding. */
  readonly places: Int32Array;
}

/** A size rounded up so that few different ones occur: to a quarter of the power of two below it, at least 8. */
export function bucket(size: number): number {
  const step = Math.max(8, 2 ** (Math.floor(Math.log2(Math.max(1, size))) - 2));
  return Math.ceil(size / step) * step;
}

/**
 * Lays out some episodes of a batch. Rows have the length of the batch's longest episode, rounded up on the right; with
 * left padding, as in TRL, an episode ends where the longest of the batch ends.
 * @param rows which episodes, in this order
 * @param columns T, the longest response of the batch
 */
export function pack(
  { queryIds, responseIds }: EpisodeIds,
  rows: readonly number[],
  columns: number,
  { paddingSide, paddedPositions }: RowPadding,
): PackedEpisodes {
  const lengthOf = (row: number): number => (queryIds[row]?.length ?? 0) + (responseIds[row]?.length ?? 0);
  const longest = queryIds.reduce((most, _, row) => Math.max(most, lengthOf(row)), 0);
  const length = bucket(longest);
  const inputIds = new Int32Array(rows.length * length);
  const positionIds = new Int32Array(rows.length * length);
  const attentionMask = new Float32Array(rows.length * length);
  const count = rows.reduce((sum, row) => sum + (responseIds[row]?.length ?? 0), 0);
  const size = Math.min(bucket(count), Math.max(count, rows.length * bucket(columns)));
  const positions = new Int32Array(size);
  const tokens = new Int32Array(size);
  const places = new Int32Array(count);
  let n = 0;
  for (const [i, row] of rows.entries()) {
    const query = queryIds[row] ?? [];
    const response = responseIds[row] ?? [];
    const before = paddingSide === "left" ? longest - lengthOf(row) : 0;
    const start = i * length + before;
    const firstPosition = paddedPositions ? before : 0;
    for (const [j, id] of [...query, ...response].entries()) {
      inputIds[start + j] = id;
      positionIds[start + j] = firstPosition + j;
      attentionMask[start + j] = 1;
    }
    for (const [t, id] of response.entries()) {
      positions[n] = start + query.length + t - 1;
      tokens[n] = id;
      places[n] = i * columns + t;
      n++;
    }
  }
  const shape = [rows.length, length];
  return {
    inputIds: int32(shape, inputIds),
    positionIds: int32(shape, positionIds),
    attentionMask: float32(shape, attentionMask),
    positions: int32([size], positions),
    tokens: int32([size], tokens),
    places,
  };
}

/** Numbers of packed response tokens, spread to [b, T]; 0 where there is no token. */
export function unpack(
  packed: ArrayLike<number>,
  { places, inputIds }: PackedEpisodes,
  columns: number,
): Tensor<"float32"> {
  const rows = inputIds.shape[0] ?? 0;
  const data = new Float32Array(rows * columns);
  for (let n = 0; n < places.length; n++) data[places[n] ?? 0] = packed[n] ?? Number.NaN;
  return float32([rows, columns], data);
}

/** Numbers of some rows of a [B, T] array, packed like the response tokens of `episodes`; 0 in the padding. */
export function packValues(
  values: ArrayLike<number>,
  rows: readonly number[],
  columns: number,
  { places, positions }: PackedEpisodes,
): Tensor<"float32"> {
  const data = new Float32Array(positions.data.length);
  for (let n = 0; n < places.length; n++) {
    const place = places[n] ?? 0;
    const row = rows[Math.floor(place / columns)] ?? 0;
    data[n] = values[row * columns + (place % columns)] ?? Number.NaN;
  }
  return float32([data.length], data);
}

/** Some rows of a [B, T] tensor. */
export function takeRows(values: Tensor<"float32">, rows: readonly number[]): Tensor<"float32"> {
  const columns = values.shape[1] ?? 0;
  const data = new Float32Array(rows.length * columns);
  for (const [i, row] of rows.entries())
    data.set(values.data.subarray(row * columns, (row + 1) * columns), i * columns);
  return float32([rows.length, columns], data);
}

/** The lists of numbers behind a right-padded [B, T] tensor. */
export function unpadded(values: Tensor, lengths: readonly number[]): number[][] {
  const columns = values.shape[1] ?? 0;
  return lengths.map((length, row) => Array.from(values.data.subarray(row * columns, row * columns + length)));
}

/** The length of the longest list. */
export function widest(lists: readonly ArrayLike<number>[]): number {
  return lists.reduce((most, { length }) => Math.max(most, length), 0);
}
