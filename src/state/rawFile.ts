import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { float32, type Tensor } from "../tensor.js";
import type { SpillFormat } from "./timeline.js";

/** Bytes that go to the disk at once. */
const chunkBytes = 16 * 2 ** 20;
/** What memory, offsets and lengths of direct writes are multiples of. */
const alignment = 4096;
/** Past the page cache, where the system can: filling its pages costs more processor time than the disk takes. */
const direct = constants.O_DIRECT ?? 0;

/**
 * Tensors end to end in a file of this process's own, what lies where remembered in memory. Nothing waits for the disk:
 * the file need not outlive the process.
 */
export function rawFiles(): SpillFormat {
  const contents = new Map<string, readonly (readonly [name: string, shape: readonly number[]])[]>();
  return {
    async write(file, tensors) {
      const chunks = new Uint8Array(2 * chunkBytes + alignment);
      let handle = await open(file, constants.O_WRONLY | constants.O_CREAT | direct, 0o600).catch(() =>
        open(file, "w", 0o600),
      );
      try {
        let start = await alignedStart(handle, chunks);
        if (start === undefined) {
          await handle.close();
          handle = await open(file, "w", 0o600);
          start = 0;
        }
        const halves = [0, chunkBytes].map((at) => chunks.subarray(start + at, start + at + chunkBytes));
        let position = 0;
        let filled = 0;
        let pending = Promise.resolve();
        let failed: unknown;
        const flush = async (): Promise<void> => {
          const bytes = halves[0]?.subarray(0, Math.ceil(filled / alignment) * alignment) ?? new Uint8Array();
          await pending;
          if (failed !== undefined) throw failed;
          pending = writeAll(handle, bytes, position).catch((cause: unknown) => {
            failed = cause;
          });
          position += filled;
          filled = 0;
          halves.reverse();
        };
        try {
          for (const { data } of tensors.values()) {
            const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
            for (let done = 0; done < bytes.length; ) {
              const part = bytes.subarray(done, done + chunkBytes - filled);
              halves[0]?.set(part, filled);
              filled += part.length;
              done += part.length;
              if (filled === chunkBytes) await flush();
            }
          }
          await flush();
        } finally {
          await pending;
        }
        if (failed !== undefined) throw failed;
      } finally {
        await handle.close();
      }
      contents.set(
        file,
        [...tensors].map(([name, { shape }]) => [name, shape]),
      );
    },
    async read(file, allocate = (length) => new Float32Array(length)) {
      const handle = await open(file, "r");
      const tensors = new Map<string, Tensor<"float32">>();
      try {
        let position = 0;
        for (const [name, shape] of contents.get(file) ?? []) {
          const data = allocate(shape.reduce((size, dim) => size * dim, 1));
          const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
          for (let done = 0; done < bytes.length; ) {
            const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position);
            if (bytesRead === 0) throw new Error(`${file}: the history on disk was cut off at ${position} bytes`);
            done += bytesRead;
            position += bytesRead;
          }
          tensors.set(name, float32(shape, data));
        }
      } finally {
        await handle.close();
      }
      return tensors;
    },
  };
}

/** Where in `bytes` memory begins that the file can be written from; undefined if nowhere. Writes the file's beginning. */
async function alignedStart(handle: FileHandle, bytes: Uint8Array): Promise<number | undefined> {
  for (let start = 0; start < alignment; start += 16) {
    try {
      await handle.write(bytes, start, alignment, 0);
      return start;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EINVAL") throw cause;
    }
  }
  return undefined;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
