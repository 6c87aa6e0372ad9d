// Installs the npm packages of the lock file where that is still to be done. Plain JavaScript: it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** npm writes this at the end of an install: what is there, in the form of the lock file. */
const mark = "node_modules/.package-lock.json";

/** Whether what is there is what the lock file names. Optional packages are those of other platforms too. */
function isInstalled(root) {
  if (!existsSync(join(root, mark))) return false;
  const packagesOf = (file) => JSON.parse(readFileSync(join(root, file), "utf8")).packages;
  const there = packagesOf(mark);
  const wanted = packagesOf("package-lock.json");
  return (
    Object.entries(there).every(([path, { version }]) => wanted[path]?.version === version) &&
    Object.entries(wanted).every(([path, { optional }]) => path === "" || optional || there[path] !== undefined)
  );
}

/**
 * @param {string} root the folder of package.json
 * @param {() => void} before called when there is something to install
 * @returns {boolean} whether the packages are there now
 */
export function installPackages(root, before = () => {}) {
  if (isInstalled(root)) return true;
  before();
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  return spawnSync("npm", args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" }).status === 0;
}
