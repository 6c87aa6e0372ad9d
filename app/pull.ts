import { type PullOptions, type PullProgress, pull, pullables, pulledFile } from "../src/models/pull.js";

/** `policyscope pull`: fetches one model or data set, or lists them. @returns the exit code */
export async function pullCommand({ name, say }: { name?: string; say: (line: string) => void }): Promise<number> {
  if (name === undefined) {
    for (const { name, kind, description, from } of pullables) {
      const there = (await pulledFile(name)) !== undefined;
      console.log(
        `${there ? "✓" : " "} ${name.padEnd(16)} ${kind.padEnd(8)} ${description}; fetches ${megabytes(from.bytes)}`,
      );
    }
    return 0;
  }
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  try {
    say(`${name} is in ${await pullShowing(name, { signal: stop.signal })}`);
    return 0;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    say("stopped; the next pull goes on from here");
    return 130;
  }
}

/**
 * Fetches a model or data set into the cache and shows how far it is, on stderr in a terminal, in the cell in a notebook.
 * @returns the file, at once where it is there already
 */
export async function pullShowing(name: string, options: PullOptions = {}): Promise<string> {
  const draw = progressLine((text) => process.stderr.write(text));
  try {
    return await pull(name, { onProgress: draw, ...options });
  } finally {
    draw.end();
  }
}

/** Draws a progress bar over itself, at most ten times a second. */
function progressLine(write: (text: string) => void): ((progress: PullProgress) => void) & { end(): void } {
  let last = 0;
  let drawn = false;
  const draw = ({ name, phase, done, total }: PullProgress): void => {
    if (done < total && performance.now() - last < 100) return;
    last = performance.now();
    drawn = true;
    const filled = Math.round((24 * done) / Math.max(1, total));
    write(
      `\r${phase} ${name} ${"█".repeat(filled)}${"░".repeat(24 - filled)} ${megabytes(done)} of ${megabytes(total)} `,
    );
  };
  return Object.assign(draw, { end: () => void (drawn && write("\n")) });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
