/** One entry of a tar archive; `body` must be read to its end, or left alone, before the next entry is asked for. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  readonly body: AsyncIterable<Uint8Array>;
}

const blockSize = 512;

/** Walks the files of a tar archive (ustar, with the GNU and pax spellings of long names) without holding more than a chunk of it. */
export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const source = new ByteSource(chunks);
  let longName: string | undefined;
  for (;;) {
    const header = await source.take(blockSize);
    if (header.length < blockSize || header.every((byte) => byte === 0)) return;
    const size = octal(header.subarray(124, 136));
    const type = String.fromCharCode(header[156] ?? 0);
    const padding = (blockSize - (size % blockSize)) % blockSize;
    if (type === "L" || type === "x") {
      const body = await source.take(Math.min(size, 1 << 20));
      longName = type === "L" ? text(body) : (paxPath(body) ?? longName);
      await source.discard(size - body.length + padding);
      continue;
    }
    const prefix = text(header.subarray(345, 500));
    const name = longName ?? (prefix ? `${prefix}/` : "") + text(header.subarray(0, 100));
    longName = undefined;
    let left = size;
    const body = (async function* () {
      while (left > 0) {
        const piece = await source.upTo(left);
        if (piece.length === 0) throw new Error(`the archive ends inside "${name}"`);
        left -= piece.length;
        yield piece;
      }
    })();
    if (type === "0" || type === "\0") yield { name, size, body };
    await source.discard(left + padding);
  }
}

/** A stream of chunks, read by the number of bytes wanted. */
class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Some bytes, at most `length`; none at the end. */
  async upTo(length: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return this.#rest;
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  /** Exactly `length` bytes, or what there is before the end. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const piece = await this.upTo(length - filled);
      if (piece.length === 0) break;
      bytes.set(piece, filled);
      filled += piece.length;
    }
    return bytes.subarray(0, filled);
  }

  async discard(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const piece = await this.upTo(left);
      if (piece.length === 0) return;
      left -= piece.length;
    }
  }
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function octal(bytes: Uint8Array): number {
  const value = Number.parseInt(text(bytes).trim() || "0", 8);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error("the archive has an entry with an unreadable size");
  return value;
}

/** The `path` record of a pax header: lines of "length key=value". */
function paxPath(body: Uint8Array): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(new TextDecoder().decode(body))?.[1];
}
