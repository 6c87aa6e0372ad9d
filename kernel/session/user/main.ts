/** Entry of the user process U. The watchdog is started first: it boots on its own core while the rest of this process loads. */
import { MessageChannel, Worker } from "node:worker_threads";
import { shared } from "./shared.js";

const memory = shared();
const { port1, port2 } = new MessageChannel();
const watchdog = new Worker(new URL("./watchdog.js", import.meta.url), {
  name: "kernel watchdog",
  workerData: { memory: memory.memory, port: port2 },
  transferList: [port2],
  execArgv: [],
  stdout: false,
});
const { startUser } = await import("./start.js");
startUser(memory, port1, watchdog);
