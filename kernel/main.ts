#!/usr/bin/env node
// A kernel's process, as a kernelspec's argv starts it: node dist/kernel/main.js {connection_file}
import { setFlagsFromString } from "node:v8";
import { runKernel } from "./protocol/main.js";

// This process handles small, short-lived messages: it needs no large nursery, and its memory is the user's.
setFlagsFromString("--semi-space-growth-factor=1");

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error(
    "usage: node kernel/main.js CONNECTION_FILE (Jupyter gives it; `policyscope install` tells Jupyter how)",
  );
  process.exit(2);
}
runKernel(file).catch((error: Error) => {
  console.error(`[policyscope] the kernel cannot start: ${error.message}`);
  process.exit(1);
});
