import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { diagnoseKernel, installKernelspec, kernelSpec, uninstallKernelspec } from "../../kernel/install.js";

describe("registering the kernel", () => {
  let folder: string;
  const saved = { ...process.env };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "install-"));
    process.env.JUPYTER_DATA_DIR = join(folder, "data");
    process.env.VIRTUAL_ENV = join(folder, "venv");
  });
  after(() => {
    process.env = saved;
    rmSync(folder, { recursive: true, force: true });
  });

  test("the spec starts this Node with the kernel's entry, and both exist", () => {
    const { argv, language, display_name } = kernelSpec();
    assert.equal(argv[0], process.execPath);
    assert.ok(existsSync(String(argv[1])));
    assert.equal(argv[2], "{connection_file}");
    assert.equal(language, "typescript");
    assert.match(display_name, /TypeScript/);
  });

  test("user, prefix, sys-prefix and name decide where it goes", () => {
    assert.equal(installKernelspec(), join(folder, "data", "kernels", "policyscope"));
    assert.equal(installKernelspec({ user: true, name: "other" }), join(folder, "data", "kernels", "other"));
    assert.equal(
      installKernelspec({ prefix: join(folder, "p") }),
      join(folder, "p", "share", "jupyter", "kernels", "policyscope"),
    );
    const where = installKernelspec({ sysPrefix: true });
    assert.equal(where, join(folder, "venv", "share", "jupyter", "kernels", "policyscope"));
    assert.deepEqual(JSON.parse(readFileSync(join(where, "kernel.json"), "utf8")), kernelSpec());
    for (const logo of ["logo-svg.svg", "logo-32x32.png", "logo-64x64.png"]) assert.ok(existsSync(join(where, logo)));
    assert.throws(() => installKernelspec({ name: "no spaces" }), /letters, digits/);
  });

  test("uninstall removes one registration and says so when there is none", () => {
    assert.equal(uninstallKernelspec({ name: "other" }), join(folder, "data", "kernels", "other"));
    assert.throws(() => uninstallKernelspec({ name: "other" }), /no kernel is registered/);
    assert.ok(existsSync(join(folder, "data", "kernels", "policyscope")));
  });

  test("the doctor finds a registration that points at nothing, and gives the remedy", async () => {
    assert.deepEqual(
      (await diagnoseKernel()).filter(({ ok }) => !ok),
      [],
    );
    const file = join(folder, "data", "kernels", "policyscope", "kernel.json");
    writeFileSync(
      file,
      JSON.stringify({ ...kernelSpec(), argv: [process.execPath, "/nowhere/main.js", "{connection_file}"] }),
    );
    const sick = (await diagnoseKernel()).filter(({ ok }) => !ok);
    assert.deepEqual(
      sick.map(({ name }) => name),
      ["kernel registration"],
    );
    assert.match(String(sick[0]?.detail), /\/nowhere\/main\.js/);
    assert.equal(sick[0]?.remedy, "policyscope install");
  });
});
