import { open } from "node:fs/promises";
import { float32, type Tensor } from "../tensor.js";
import type { SpillFormat } from "./timeline.js";

/**
 * Tensors end to end in a file of this process's own, what lies where remembered in memory. Nothing waits for the disk:
 * the file need not outlive the process.
 */
export function rawFiles(): SpillFormat {
  const contents = new Map<string, readonly (readonly [name: string, shape: readonly number[]])[]>();
  return {
    async write(file, tensors) {
      const handle = await open(file, "w", 0o600);
      try {
        let position = 0;
        for (const { data } of tensors.values()) {
          const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
          for (let done = 0; done < bytes.length; ) {
            const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position);
            done += bytesWritten;
            position += bytesWritten;
          }
        }
      } finally {
        await handle.close();
      }
      contents.set(
        file,
        [...tensors].map(([name, { shape }]) => [name, shape]),
      );
    },
    async read(file) {
      const handle = await open(file, "r");
      const tensors = new Map<string, Tensor<"float32">>();
      try {
        let position = 0;
        for (const [name, shape] of contents.get(file) ?? []) {
          const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1));
          const bytes = new Uint8Array(data.buffer);
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
