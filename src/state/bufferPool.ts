/** Float32 arrays that nobody holds any more, by length, to be used again instead of allocating. */
export class BufferPool {
  readonly #free = new Map<number, Float32Array[]>();

  /** An array of this length; its contents are whatever was in it. */
  take(length: number): Float32Array {
    return this.#free.get(length)?.pop() ?? new Float32Array(length);
  }

  /** Hands an array over. The caller must not touch it again, nor may anybody else hold it. */
  give(array: Float32Array): void {
    if (array.byteOffset !== 0 || array.byteLength !== array.buffer.byteLength) return;
    const list = this.#free.get(array.length);
    if (list === undefined) this.#free.set(array.length, [array]);
    else if (!list.includes(array)) list.push(array);
  }

  /** Bytes that wait to be used again. */
  get bytes(): number {
    let bytes = 0;
    for (const [length, arrays] of this.#free) bytes += length * 4 * arrays.length;
    return bytes;
  }

  /** Lets go of everything. */
  clear(): void {
    this.#free.clear();
  }
}
