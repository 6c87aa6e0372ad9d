import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { homeFolder } from "../../app/folders.js";
import { ensureJupyter } from "../../app/jupyterEnv.js";
import { KernelClient } from "../../kernel/wire/client.js";
import type { Row } from "./step.js";

/** A kernel to measure, and how its language says what is measured. */
interface Contestant {
  readonly name: string;
  readonly argv: readonly string[];
  readonly lines: (count: number) => string;
  readonly loop: string;
  readonly member: string;
}

const script = {
  lines: (count: number) => `for (let i = 0; i < ${count}; i++) console.log("x".repeat(99))`,
  loop: "for (;;) {}",
  member: "JSON.str",
};
const deno = "2.9.6";

/** Measures of one kernel; every one is a median, in milliseconds or megabytes. */
interface Measured {
  stdout: number;
  completion: number;
  interrupt: number | undefined;
  memory: number | undefined;
}

/**
 * Our kernel beside ipykernel and Deno's, in turns in the same run, through the same client; each is left out where it
 * cannot be installed.
 */
export async function kernelRows(say: (line: string) => void): Promise<readonly Row[]> {
  const ours: Contestant = {
    name: "policyscope",
    argv: [process.execPath, "dist/kernel/main.js", "{connection_file}"],
    ...script,
  };
  const others = [await pythonKernel(say), denoKernel(say)].filter((other) => other !== undefined);
  const all = [ours, ...others];
  process.env.POLICYSCOPE_HISTORY = mkdtempSync(join(tmpdir(), "bench-history-"));

  const starts = new Map(all.map((contestant) => [contestant, [] as number[]]));
  for (let round = 0; round < 7; round++) {
    for (const contestant of all) starts.get(contestant)?.push(await coldStart(contestant));
    say(`cold start, round ${round + 1} of 7`);
  }
  // In turns as well: whoever came first would have met a client that is not yet at its own full speed.
  const cells = new Map(all.map((contestant) => [contestant, [] as number[]]));
  for (let round = 0; round < 5; round++) {
    for (let turn = 0; turn < all.length; turn++) {
      const contestant = all[(round + turn) % all.length];
      if (contestant) cells.get(contestant)?.push(await trivialCell(contestant));
    }
    say(`trivial cells, round ${round + 1} of 5`);
  }
  const measured = new Map<Contestant, Measured>();
  for (const contestant of all) {
    say(`${contestant.name}: output, completion, interrupt`);
    measured.set(contestant, await measure(contestant));
  }
  const rows: Row[] = [];
  const compare = (what: string, unit: string, value: (contestant: Contestant) => number | undefined) => {
    const mine = value(ours);
    if (mine === undefined) return;
    if (others.length === 0) rows.push({ what, unit, ours: mine });
    for (const other of others) {
      const theirs = value(other);
      if (theirs !== undefined) rows.push({ what, unit, ours: mine, other: theirs, otherName: other.name });
    }
  };
  compare("kernel: cold start to first result", "ms", (contestant) => median(starts.get(contestant) ?? []));
  compare("kernel: trivial cell", "ms", (contestant) => median(cells.get(contestant) ?? []));
  compare("kernel: 100 kB of stdout", "ms", (contestant) => measured.get(contestant)?.stdout);
  compare("kernel: completion once warm", "ms", (contestant) => measured.get(contestant)?.completion);
  compare("kernel: interrupt of a busy loop", "ms", (contestant) => measured.get(contestant)?.interrupt);
  compare("kernel: idle memory, all processes", "MB", (contestant) => measured.get(contestant)?.memory);
  say("policyscope: many cells, much output");
  return [...rows, ...(await growth(ours)), ...(await endurance(ours))];
}

async function coldStart({ argv }: Contestant): Promise<number> {
  const started = performance.now();
  const client = await KernelClient.spawn({ argv, stdio: "ignore" });
  await client.execute("1 + 1", { timeout: 30_000 });
  const took = performance.now() - started;
  await client.shutdown();
  return took;
}

/** The median of 200 cells in a kernel that has just run its first thirty. */
async function trivialCell({ argv }: Contestant): Promise<number> {
  const client = await KernelClient.spawn({ argv, stdio: "ignore" });
  try {
    for (let i = 0; i < 30; i++) await client.execute("1", { timeout: 30_000 });
    return await time(200, () => client.execute("1 + 1", { timeout: 30_000 }));
  } finally {
    await client.shutdown();
  }
}

/** The median time of some acts, one after the other. */
async function time(count: number, act: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    await act();
    times.push(performance.now() - started);
  }
  return median(times);
}

async function measure({ argv, lines, loop, member }: Contestant): Promise<Measured> {
  const client = await KernelClient.spawn({ argv, stdio: "ignore" });
  try {
    await client.execute("1", { timeout: 30_000 });
    await sleep(1_000);
    const memory = treeMemory(client.process?.pid);
    const stdout = await time(15, () => client.execute(lines(1_000), { timeout: 30_000 }));
    const complete = () =>
      client.request("shell", "complete_request", { code: member, cursor_pos: member.length }, { timeout: 30_000 });
    await complete();
    await sleep(9_000);
    const completion = await time(25, complete);
    const interrupt = await time(8, async () => {
      const looping = client.execute(loop, { timeout: 5_000 });
      await sleep(150);
      const started = performance.now();
      client.send("control", "interrupt_request", {});
      await looping;
      interrupts.push(performance.now() - started);
    }).then(
      () => median(interrupts.splice(0)),
      () => undefined,
    );
    return { stdout, completion, interrupt, memory };
  } finally {
    client.kill();
    await client.shutdown({ timeout: 1_000 });
  }
}

const interrupts: number[] = [];

/** Memory that 10,000 cells take which keep next to nothing, counted from a kernel that has just run its first hundred. */
async function growth({ argv }: Contestant): Promise<readonly Row[]> {
  const client = await KernelClient.spawn({ argv, stdio: "ignore" });
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) await client.execute(`let w = ${i}; w + 1`, { timeout: 30_000 });
    await sleep(1_000);
    return treeMemory(client.process?.pid);
  };
  try {
    const before = await run(100);
    const after = await run(10_000);
    if (before === undefined || after === undefined) return [];
    return [{ what: "kernel: memory grown by 10,000 cells", unit: "MB", ours: after - before }];
  } finally {
    await client.shutdown();
  }
}

/** What only we promise of output: 200,000 lines, 50 MB. */
async function endurance({ argv }: Contestant): Promise<readonly Row[]> {
  const client = await KernelClient.spawn({ argv, stdio: "ignore" });
  const text = async (code: string) => {
    const { iopub } = await client.execute(code, { timeout: 120_000 });
    return iopub.map(({ content }) => (typeof content.text === "string" ? content.text : "")).join("");
  };
  const timed = async (code: string): Promise<[number, string]> => {
    const started = performance.now();
    const all = await text(code);
    return [performance.now() - started, all];
  };
  try {
    const [linesTook, lines] = await timed("for (let i = 0; i < 200_000; i++) console.log('line ' + i)");
    const [bytesTook, bytes] = await timed("for (let i = 0; i < 50; i++) process.stdout.write('y'.repeat(1e6))");
    return [
      { what: "kernel: 200,000 lines", unit: "ms", ours: linesTook },
      { what: "kernel: lines of 200,000 that were lost", unit: "", ours: 200_001 - lines.split("\n").length },
      { what: "kernel: 50 MB of output", unit: "ms", ours: bytesTook },
      { what: "kernel: bytes of 50 MB that were lost", unit: "", ours: 50_000_000 - bytes.length },
    ];
  } finally {
    await client.shutdown();
  }
}

/** Resident memory of a process and all below it in MB; undefined where there is no /proc. */
function treeMemory(root: number | undefined): number | undefined {
  if (root === undefined || !existsSync("/proc/self/statm")) return undefined;
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {}
  }
  const below = (pid: number): boolean => pid === root || (parents.has(pid) && below(parents.get(pid) ?? 0));
  let pages = 0;
  for (const pid of parents.keys()) {
    if (!below(pid)) continue;
    try {
      pages += Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
    } catch {}
  }
  return (pages * 4096) / 1e6;
}

async function pythonKernel(say: (line: string) => void): Promise<Contestant | undefined> {
  try {
    const { python } = await ensureJupyter({ purpose: "test", say });
    return {
      name: "ipykernel",
      argv: [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
      lines: (count) => `for i in range(${count}): print("x" * 99)`,
      loop: "while True: pass",
      member: "str.upp",
    };
  } catch (error) {
    say(`ipykernel is left out: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
}

function denoKernel(say: (line: string) => void): Contestant | undefined {
  const folder = join(homeFolder(), "bench-deno");
  // Its binary comes in a package of its own for each platform, so no install script need run.
  const platforms = join(folder, "node_modules", "@deno");
  if (!existsSync(platforms)) {
    say(`installing deno ${deno} into ${folder}`);
    mkdirSync(folder, { recursive: true });
    const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", `deno@${deno}`];
    spawnSync("npm", args, { stdio: "ignore", shell: process.platform === "win32" });
  }
  const [platform = ""] = existsSync(platforms) ? readdirSync(platforms) : [];
  const binary = join(platforms, platform, process.platform === "win32" ? "deno.exe" : "deno");
  if (spawnSync(binary, ["--version"]).status !== 0) {
    say("Deno is left out: its npm package could not be installed");
    return undefined;
  }
  return { name: "Deno", argv: [binary, "jupyter", "--kernel", "--conn", "{connection_file}"], ...script };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
