import { readFileSync } from "node:fs";
import { cpus, freemem, hostname, totalmem } from "node:os";
import type { Reply } from "../wire/messages.js";

interface Busy {
  /** Milliseconds of a processor, since some time in the past. */
  readonly busy: number;
  /** Milliseconds that have gone by. */
  readonly gone: number;
}

/**
 * What the kernel's processes and the machine have to do, in the fields of ipykernel's usage_reply. Percentages are those
 * since the question before: of one processor for the kernel, of all processors for the host.
 */
export class Usage {
  #kernel: Busy | undefined;
  #host: Busy | undefined;

  /** @param session the user process. */
  reply(session: number | undefined): Reply<"usage_request"> {
    const kernel = {
      busy: own() + (session === undefined ? 0 : processorTime(session)),
      gone: process.uptime() * 1000,
    };
    const host = machine();
    const memory = { total: totalmem(), available: freemem() };
    const reply: Reply<"usage_request"> = {
      status: "ok",
      hostname: hostname(),
      pid: process.pid,
      kernel_cpu: percent(kernel, this.#kernel),
      kernel_memory: process.memoryUsage.rss() + (session === undefined ? 0 : residentBytes(session)),
      cpu_count: cpus().length,
      host_cpu_percent: percent(host, this.#host),
      host_virtual_memory: {
        ...memory,
        free: memory.available,
        used: memory.total - memory.available,
        percent: round((100 * (memory.total - memory.available)) / memory.total),
      },
    };
    this.#kernel = kernel;
    this.#host = host;
    return reply;
  }
}

function percent(now: Busy, before: Busy = { busy: 0, gone: 0 }): number {
  const gone = now.gone - before.gone;
  return gone <= 0 ? 0 : round((100 * Math.max(0, now.busy - before.busy)) / gone);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function own(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function machine(): Busy {
  let [busy, gone] = [0, 0];
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.irq + times.idle;
    gone += all;
    busy += all - times.idle;
  }
  return { busy, gone };
}

/** Of another process, from /proc; 0 where there is none. */
function processorTime(pid: number): number {
  const fields = procFile(pid, "stat").split(") ").at(-1)?.split(" ") ?? [];
  // The clock of these fields ticks a hundred times a second.
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

function residentBytes(pid: number): number {
  return Number(procFile(pid, "statm").split(" ")[1] ?? 0) * 4096;
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}
