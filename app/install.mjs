// Installs the npm packages of the lock file where that is still to be done. Plain JavaScript: it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

/** npm writes this at the end of an install: without it, or before the lock file's last change, an install is due. */
const mark = "node_modules/.package-lock.json";

/**
 * @param {string} root the folder of package.json
 * @param {() => void} before called when there is something to install
 * @returns {boolean} whether the packages are there now
 */
export function installPackages(root, before = () => {}) {
  const changed = (file) => statSync(join(root, file)).mtimeMs;
  if (existsSync(join(root, mark)) && changed(mark) >= changed("package-lock.json")) return true;
  before();
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  return spawnSync("npm", args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" }).status === 0;
}
