/** The part of the Protocol Buffers wire format that an ONNX model needs: varints, 32-bit floats, bytes and nested messages. */
export class ProtobufWriter {
  readonly #chunks: Uint8Array[] = [];
  #small: number[] = [];
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length + this.#small.length;
  }

  /** A whole number (up to 2^53, also negative) as an int64 field. */
  int(field: number, value: number): this {
    this.#varint(BigInt(field) << 3n);
    this.#varint(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  /** A 32-bit float field. */
  float(field: number, value: number): this {
    this.#varint((BigInt(field) << 3n) | 5n);
    this.#small.push(...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  /** A string field. */
  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  /** A bytes field. Long ones are kept by reference until {@link finish}. */
  bytes(field: number, value: Uint8Array): this {
    this.#varint((BigInt(field) << 3n) | 2n);
    this.#varint(BigInt(value.length));
    this.#append(value);
    return this;
  }

  /** A nested message. */
  message(field: number, write: (message: ProtobufWriter) => void): this {
    const message = new ProtobufWriter();
    write(message);
    this.#varint((BigInt(field) << 3n) | 2n);
    this.#varint(BigInt(message.length));
    message.#flush();
    for (const chunk of message.#chunks) this.#append(chunk);
    return this;
  }

  /** Everything written, in one array. */
  finish(): Uint8Array {
    this.#flush();
    const result = new Uint8Array(this.#length);
    let offset = 0;
    for (const chunk of this.#chunks) {
      result.set(chunk, offset);
      offset += chunk.length;
    }
    return result;
  }

  #varint(value: bigint): void {
    if (value < 0x80n) {
      this.#small.push(Number(value));
      return;
    }
    let rest = value;
    while (rest > 0x7fn) {
      this.#small.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#small.push(Number(rest));
  }

  #append(bytes: Uint8Array): void {
    if (bytes.length < 64) {
      this.#small.push(...bytes);
      return;
    }
    this.#flush();
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  #flush(): void {
    if (this.#small.length === 0) return;
    this.#chunks.push(Uint8Array.from(this.#small));
    this.#length += this.#small.length;
    this.#small = [];
  }
}
