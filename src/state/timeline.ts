import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyPatches, type Draft, enablePatches, freeze, type Patch, produceWithPatches } from "immer";
import type { Params, Tensor } from "../tensor.js";
import { BufferPool } from "./bufferPool.js";

enablePatches();

/** Tensors of a snapshot in named groups: the parameters, the optimizer's moments. */
export type TensorGroups = Readonly<Record<string, Params>>;

/** One state of a trainer: small plain data, and tensors that are shared with other snapshots by reference. */
export interface Snapshot<S> {
  readonly small: S;
  readonly tensors: TensorGroups;
}

/** How tensors are written to and read from a file when memory runs short. */
export interface SpillFormat {
  write(file: string, tensors: ReadonlyMap<string, Tensor<"float32">>): Promise<void>;
  /** @param allocate where arrays come from; what is in them is written over */
  read(file: string, allocate?: (length: number) => Float32Array): Promise<ReadonlyMap<string, Tensor<"float32">>>;
}

/** Where the tensors of an earlier state are: `dropped` means that the state can be read about but not gone back to. */
export type Held = "memory" | "disk" | "dropped";

/** What a timeline keeps. */
export interface TimelineOptions {
  /**
   * Bytes of other tensors than the current ones kept in memory: earlier states, and the one that an update works on. A
   * state larger than this is updated in place, if it can go to disk first. Default 1 GiB.
   */
  readonly memoryBytes?: number;
  /**
   * Bytes of earlier tensors kept on disk beyond that. A state larger than half of it is not updated in place, and one
   * larger than a sixteenth that is still in memory is dropped instead, because writing it takes long. Default 4 GiB; 0 writes nothing.
   */
  readonly diskBytes?: number;
  readonly format?: SpillFormat;
}

/** Folders of timelines that nobody disposed of. */
const leftBehind = new Set<string>();
process.once("exit", () => {
  for (const folder of leftBehind) rmSync(folder, { recursive: true, force: true });
});

interface Entry {
  tensors: TensorGroups | undefined;
  file: { readonly path: string; readonly bytes: number } | undefined;
  /** Ends, without throwing, when the file that is being written is. */
  writing?: Promise<void> | undefined;
  /** From the entry before to this one, and back. */
  readonly forward: readonly Patch[];
  readonly backward: readonly Patch[];
}

const gib = 2 ** 30;

/** Bytes of the tensors in `groups` that are not among `shared`. */
function bytesOf(groups: TensorGroups, shared: ReadonlySet<Float32Array>): number {
  let bytes = 0;
  for (const array of arraysOf(groups)) if (!shared.has(array)) bytes += array.byteLength;
  return bytes;
}

function* arraysOf(groups: TensorGroups): Generator<Float32Array> {
  for (const params of Object.values(groups)) for (const { data } of params.values()) yield data;
}

/**
 * The states of a trainer, in order, with a place where it stands. Small data is kept once, with patches to and from
 * each state; tensors are held by reference, and beyond a budget on disk. Committing after going back replaces what
 * came after that place.
 */
export class Timeline<S extends object> {
  readonly pool = new BufferPool();
  readonly #memoryBytes: number;
  readonly #diskBytes: number;
  readonly #format: SpillFormat | undefined;
  readonly #entries: Entry[];
  /** Arrays that somebody outside holds: never recycled. */
  readonly #escaped = new WeakSet<Float32Array>();
  /** How many use tensors. */
  readonly #users = new WeakMap<TensorGroups, number>();
  #position = 0;
  #version = 0;
  #small: S;
  #folder: Promise<string> | undefined;
  #files = 0;

  /** @param small frozen by this call, deeply */
  constructor(small: S, tensors: TensorGroups, options: TimelineOptions = {}) {
    this.#small = freeze(small, true);
    this.#entries = [{ tensors, file: undefined, forward: [], backward: [] }];
    this.#memoryBytes = options.memoryBytes ?? gib;
    this.#diskBytes = options.diskBytes ?? 4 * gib;
    this.#format = options.format;
    this.escape(tensors);
  }

  /** The state the trainer stands at. Its `tensors` are the same object until the next commit or move. */
  get current(): Snapshot<S> {
    const { tensors } = this.#entryAt(this.#position);
    if (tensors === undefined) {
      throw new Error("the current parameters are on disk while an update works in their memory; wait for it to end");
    }
    return { small: this.#small, tensors };
  }

  /** Small data of the current state. */
  get small(): S {
    return this.#small;
  }

  /** Changes with every commit and move. */
  get version(): number {
    return this.#version;
  }

  get position(): number {
    return this.#position;
  }

  /** Where the tensors of every state are. */
  get held(): readonly Held[] {
    return this.#entries.map(({ tensors, file }) => (tensors ? "memory" : file ? "disk" : "dropped"));
  }

  /** Small data of every state, in order. */
  get states(): readonly S[] {
    const states: S[] = [];
    let small = this.#walk(this.#position, 0);
    for (const [position, { forward }] of this.#entries.entries()) {
      if (position > 0) small = applyPatches(small, forward as Patch[]);
      states.push(small);
    }
    return states;
  }

  /** Says that arrays of these tensors are held outside, so that their memory is not used again. */
  escape(tensors: TensorGroups): void {
    for (const array of arraysOf(tensors)) this.#escaped.add(array);
  }

  /**
   * Makes a new state from the current one and stands at it: synchronous, all or nothing.
   * @param recipe changes a draft of the small data; must not be async, and no tensor belongs in it
   */
  commit(recipe: (draft: Draft<S>) => void, tensors: TensorGroups): Snapshot<S> {
    const [small, forward, backward] = produceWithPatches(this.#small, (draft) => {
      recipe(draft);
    });
    const replaced = this.#entries.splice(this.#position + 1);
    this.#entries.push({ tensors, file: undefined, forward, backward });
    this.#small = small;
    this.#position++;
    this.#version++;
    for (const entry of replaced) this.#forget(entry);
    return this.current;
  }

  /**
   * Stands at another state; position 0 is the first.
   * @throws RangeError if there is no such state, or its tensors were dropped.
   */
  async goto(position: number): Promise<Snapshot<S>> {
    const entry = this.#entryAt(position);
    if (entry.tensors === undefined) {
      if (entry.file === undefined) {
        throw new RangeError(
          `the parameters of state ${position} are no longer kept (of ${this.#entries.length} states: ${this.held.join(", ")}); give the trainer a larger history: { memoryBytes, diskBytes }`,
        );
      }
      entry.tensors = await this.#read(entry.file.path);
    }
    this.#small = this.#walk(this.#position, position);
    this.#position = position;
    this.#version++;
    return this.current;
  }

  /** The current state, read back if its tensors were lent. */
  async load(): Promise<Snapshot<S>> {
    const entry = this.#entryAt(this.#position);
    if (entry.tensors === undefined && entry.file !== undefined) {
      entry.tensors = await this.#read(entry.file.path);
    }
    return this.current;
  }

  /**
   * Says that somebody uses the current tensors for a while: they are lent to nobody else.
   * @returns to be called when the use is over
   */
  hold(): () => void {
    const { tensors } = this.current;
    this.#users.set(tensors, (this.#users.get(tensors) ?? 0) + 1);
    let over = false;
    return () => {
      if (!over) this.#users.set(tensors, (this.#users.get(tensors) ?? 1) - 1);
      over = true;
    };
  }

  /**
   * {@link hold} by somebody who will call {@link lend}: what that has to write begins to be written, while the tensors
   * can still be read.
   */
  prepareToLend(): () => void {
    const over = this.hold();
    const entry = this.#entryAt(this.#position);
    if (this.#lendable(entry) !== undefined) void this.#write(entry, this.#diskBytes / 2);
    return over;
  }

  /**
   * Makes room for another state. Where two do not fit the memory budget, writes the current tensors to disk, lets go of
   * them, and gives the arrays that may now be written over: whatever happens to those, {@link load} brings the state
   * back. Otherwise earlier states leave memory until there is room, and nothing is lent: undefined.
   */
  async lend(): Promise<ReadonlySet<Float32Array> | undefined> {
    const entry = this.#entryAt(this.#position);
    const { tensors } = entry;
    if (tensors === undefined) return undefined;
    const bytes = bytesOf(tensors, new Set());
    if (bytes <= this.#memoryBytes) {
      await this.trim(bytes);
      return undefined;
    }
    if (this.#lendable(entry) === undefined) return undefined;
    await this.#write(entry, this.#diskBytes / 2);
    // Somebody may have taken the tensors, or moved, meanwhile.
    if (entry.file === undefined || entry.tensors !== tensors || this.#entries[this.#position] !== entry)
      return undefined;
    const lent = this.#lendable(entry);
    if (lent !== undefined) entry.tensors = undefined;
    return lent;
  }

  /** Brings earlier states within the budgets: the oldest go to disk, or are dropped. Called after a commit. */
  async trim(reserved = 0): Promise<void> {
    const kept = new Set(arraysOf(this.current.tensors));
    const inMemory = this.#entries.filter((entry, i) => i !== this.#position && entry.tensors !== undefined);
    let bytes = 0;
    // Newest first: what an undo needs stays in memory longest.
    for (const entry of inMemory.reverse()) {
      if (entry.tensors === undefined) continue;
      bytes += bytesOf(entry.tensors, kept);
      if (bytes + reserved <= this.#memoryBytes) for (const array of arraysOf(entry.tensors)) kept.add(array);
      else await this.#spill(entry, kept);
    }
    let onDisk = 0;
    for (const entry of [...this.#entries].reverse()) {
      if (entry.file === undefined) continue;
      onDisk += entry.file.bytes;
      if (onDisk > this.#diskBytes && entry.tensors === undefined) this.#forget(entry);
    }
  }

  /** Deletes what was spilled and lets go of recycled memory. */
  async dispose(): Promise<void> {
    await Promise.all(this.#entries.map(({ writing }) => writing));
    const folder = await this.#folder;
    this.#folder = undefined;
    this.pool.clear();
    for (const entry of this.#entries) entry.file = undefined;
    if (folder === undefined) return;
    leftBehind.delete(folder);
    await rm(folder, { recursive: true, force: true });
  }

  #entryAt(position: number): Entry {
    const entry = this.#entries[position];
    if (entry === undefined) {
      throw new RangeError(`there is no state ${position}; there are states 0 to ${this.#entries.length - 1}`);
    }
    return entry;
  }

  #walk(from: number, to: number): S {
    let small = this.#small;
    for (let i = from; i < to; i++) small = applyPatches(small, this.#entryAt(i + 1).forward as Patch[]);
    for (let i = from; i > to; i--) small = applyPatches(small, this.#entryAt(i).backward as Patch[]);
    return small;
  }

  async #spill(entry: Entry, kept: ReadonlySet<Float32Array>): Promise<void> {
    const { tensors } = entry;
    if (tensors === undefined) return;
    await this.#write(entry, this.#diskBytes / 16);
    // The trainer may have moved while the file was written.
    if (this.#entries[this.#position] === entry) return;
    entry.tensors = undefined;
    this.#recycle(tensors, kept);
  }

  /** Arrays of an entry too large to be held twice that nobody else holds; undefined if there are none. */
  #lendable(entry: Entry): ReadonlySet<Float32Array> | undefined {
    const { tensors } = entry;
    if (tensors === undefined || bytesOf(tensors, new Set()) <= this.#memoryBytes) return undefined;
    if ((this.#users.get(tensors) ?? 0) > 1) return undefined;
    const used = this.#arraysInUse(entry);
    const arrays = [...arraysOf(tensors)].filter((array) => !used.has(array) && !this.#escaped.has(array));
    return arrays.length === 0 ? undefined : new Set(arrays);
  }

  /** Writes an entry's tensors to a file, if it is within `most` bytes; an entry that could not be written has none. */
  #write(entry: Entry, most: number): Promise<void> {
    entry.writing ??= this.#writeFile(entry, most).finally(() => {
      entry.writing = undefined;
    });
    return entry.writing;
  }

  async #writeFile(entry: Entry, most: number): Promise<void> {
    const { tensors } = entry;
    if (tensors === undefined || entry.file !== undefined || this.#format === undefined) return;
    const bytes = bytesOf(tensors, new Set());
    if (bytes > most) return;
    let path: string | undefined;
    try {
      this.#folder ??= mkdtemp(join(tmpdir(), "policyscope-history-")).then((folder) => {
        leftBehind.add(folder);
        return folder;
      });
      path = join(await this.#folder, `${this.#files++}.tensors`);
      await this.#format.write(path, regroup(tensors));
      if (this.#entries.includes(entry)) entry.file = { path, bytes };
      else await rm(path, { force: true });
    } catch {
      if (path !== undefined) await rm(path, { force: true });
    }
  }

  async #read(path: string): Promise<TensorGroups> {
    return ungroup(await this.#spillFormat().read(path, (length) => this.pool.take(length)));
  }

  #forget(entry: Entry): void {
    const { file, tensors } = entry;
    entry.file = undefined;
    entry.tensors = undefined;
    if (file !== undefined) void rm(file.path, { force: true });
    if (tensors !== undefined) this.#recycle(tensors, new Set());
  }

  #recycle(tensors: TensorGroups, kept: ReadonlySet<Float32Array>): void {
    const used = this.#arraysInUse();
    for (const array of arraysOf(tensors)) {
      if (!used.has(array) && !kept.has(array) && !this.#escaped.has(array)) this.pool.give(array);
    }
  }

  #arraysInUse(except?: Entry): Set<Float32Array> {
    const used = new Set<Float32Array>();
    for (const entry of this.#entries)
      if (entry !== except && entry.tensors !== undefined) for (const array of arraysOf(entry.tensors)) used.add(array);
    return used;
  }

  #spillFormat(): SpillFormat {
    if (this.#format === undefined) throw new Error("timeline: a state is on disk, but there is no format to read it");
    return this.#format;
  }
}

/** Groups as one map, `group:name`. */
export function regroup(groups: TensorGroups): Map<string, Tensor<"float32">> {
  return new Map(
    Object.entries(groups).flatMap(([group, params]) =>
      [...params].map(([name, value]): [string, Tensor<"float32">] => [`${group}:${name}`, value]),
    ),
  );
}

/** The inverse of {@link regroup}. */
export function ungroup(tensors: ReadonlyMap<string, Tensor<"float32">>): TensorGroups {
  const groups: Record<string, Map<string, Tensor<"float32">>> = {};
  for (const [key, value] of tensors) {
    const colon = key.indexOf(":");
    const group = key.slice(0, colon);
    groups[group] ??= new Map();
    groups[group]?.set(key.slice(colon + 1), value);
  }
  return groups;
}
