import type { Program } from "../graph/program.js";
import type { Engine, Executable } from "./engine.js";

/** Compiled programs by key; the least recently used one is disposed when there are too many. */
export interface ProgramCache {
  /** The program with this key; `make` is called only if it is not there. Callers that ask at once share one compilation. */
  get(key: string, make: () => Program): Promise<Executable>;
  /** How many programs are held. */
  readonly size: number;
  /** Disposes all. The cache can be used again afterwards. */
  dispose(): Promise<void>;
}

/**
 * A cache of at most `maxEntries` compiled programs. A key must tell apart everything that the program depends on:
 * what it computes, the configuration and every shape. An executable that falls out is disposed once its runs have ended.
 */
export function programCache(engine: Engine, { maxEntries = 16 }: { maxEntries?: number } = {}): ProgramCache {
  const entries = new Map<string, Promise<Shared>>();

  const retire = async (entry: Promise<Shared>): Promise<void> => {
    const shared = await entry.catch(() => undefined);
    await shared?.retire();
  };

  return {
    async get(key, make) {
      const known = entries.get(key);
      const entry = known ?? Promise.resolve().then(async () => new Shared(await engine.compile(make())));
      entries.delete(key);
      entries.set(key, entry);
      if (known === undefined) {
        entry.catch(() => entries.get(key) === entry && entries.delete(key));
        for (const [oldest, old] of entries) {
          if (entries.size <= maxEntries) break;
          entries.delete(oldest);
          void retire(old);
        }
      }
      return entry;
    },
    get size() {
      return entries.size;
    },
    async dispose() {
      const all = [...entries.values()];
      entries.clear();
      await Promise.all(all.map(retire));
    },
  };
}

/** An executable whose disposal waits for the runs under way. */
class Shared implements Executable {
  readonly #executable: Executable;
  #running = 0;
  #retired = false;

  constructor(executable: Executable) {
    this.#executable = executable;
  }

  get program(): Program {
    return this.#executable.program;
  }

  async run(...args: Parameters<Executable["run"]>): ReturnType<Executable["run"]> {
    this.#running++;
    try {
      return await this.#executable.run(...args);
    } finally {
      this.#running--;
      if (this.#retired && this.#running === 0) await this.#executable.dispose();
    }
  }

  async retire(): Promise<void> {
    this.#retired = true;
    if (this.#running === 0) await this.#executable.dispose();
  }

  /** The cache owns the executable; disposing of a shared one would take it from the others. */
  async dispose(): Promise<void> {}
}
