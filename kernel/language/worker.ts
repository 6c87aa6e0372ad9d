import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import ts from "typescript";
import type { AnswerMessage, Answers, Job, JobMessage, WorkerSetup } from "./jobs.js";
import { NotebookProgram } from "./notebookProgram.js";

/** Worker side: one job at a time; checks of whole cells wait until nobody waits for an answer to a key press. */
const setup = workerData as WorkerSetup;
const port = parentPort;
if (port === null) throw new Error("kernel/language/worker.js runs only as a worker thread of LanguageService.");
const waiting = new Int32Array(setup.waiting);
const program = new NotebookProgram(setup.directory, () => Atomics.load(waiting, 0) > 0);

const jobs: JobMessage[] = [];
const checks: { id: number; check: () => Answers["diagnostics"] }[] = [];
let scheduled = false;
let warm = false;
let quiet: NodeJS.Timeout | undefined;
/** A person who has stopped typing for so long is taken to read. */
const QUIET_MS = 700;
/** One who has not asked for so long will hardly ask within the half second that a collection takes. */
const LONG_QUIET_MS = 3000;
/** So much garbage is worth a collection. */
const GARBAGE_BYTES = 50 * 2 ** 20;
let living = 0;
let garbageCollector: (() => void) | undefined;

port.on("message", (message: JobMessage) => {
  clearTimeout(quiet);
  jobs.push(message);
  schedule();
});

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    step();
    if (jobs.length > 0 || checks.length > 0) schedule();
    else if (warm) rest();
  });
}

/** When nobody has asked for a while, one piece of idle work after another. */
function rest(): void {
  clearTimeout(quiet);
  quiet = setTimeout(() => {
    if (jobs.length > 0 || checks.length > 0) return;
    if (program.idle()) rest();
    else quiet = setTimeout(collect, LONG_QUIET_MS);
  }, QUIET_MS);
}

/** Far from its limit, V8 lets the heap grow to four times what lives in it. */
function collect(): void {
  if (getHeapStatistics().used_heap_size < living + GARBAGE_BYTES) return;
  garbageCollector ??= exposedCollector();
  garbageCollector();
  living = getHeapStatistics().used_heap_size;
  // The second time it gives back what the first has emptied.
  quiet = setTimeout(garbageCollector, QUIET_MS);
}

/** V8's own; an inspector session would do it too, but a process that ends meanwhile may then hang. */
function exposedCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return typeof found === "function" ? () => void found() : () => undefined;
}

/** One job. */
function step(): void {
  const next = jobs.shift();
  if (next !== undefined) {
    const { id, job } = next;
    if (job.kind === "complete" || job.kind === "inspect") Atomics.sub(waiting, 0, 1);
    if (job.kind === "diagnostics") checks.push({ id, check: program.check(job.source) });
    else reply(id, () => run(job));
    return;
  }
  const check = checks.shift();
  if (check === undefined) return;
  try {
    answer({ id: check.id, answer: check.check() });
  } catch (error) {
    if (error instanceof ts.OperationCanceledException) checks.unshift(check);
    else answer({ id: check.id, error: describe(error) });
  }
}

function run(job: Exclude<Job, { kind: "diagnostics" }>): Answers[Exclude<Job["kind"], "diagnostics">] {
  switch (job.kind) {
    case "warm":
      program.warm();
      warm = true;
      return true;
    case "add":
      program.add(job.source, job.cell);
      return true;
    case "reset":
      program.reset(job.directory);
      return true;
    case "complete":
      return program.complete(job.source, job.offset, job.root);
    case "inspect":
      return program.inspect(job.source, job.offset, job.definition);
  }
}

function reply(id: number, work: () => Answers[Job["kind"]]): void {
  try {
    answer({ id, answer: work() });
  } catch (error) {
    answer({ id, error: describe(error) });
  }
}

function answer(message: AnswerMessage): void {
  port?.postMessage(message);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
