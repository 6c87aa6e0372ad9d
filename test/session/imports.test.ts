import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { notebook } from "./notebook.js";

describe("imports", () => {
  const folder = mkdtempSync(join(tmpdir(), "imports-"));
  let clock = Date.now() / 1000;
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
    clock += 1;
    utimesSync(join(folder, file), clock, clock);
  };
  write("node_modules/esm-pkg/package.json", '{"name":"esm-pkg","type":"module","exports":"./index.js"}');
  write("node_modules/esm-pkg/index.js", "export const esm = 1; export default () => 'default'");
  write("node_modules/cjs-pkg/package.json", '{"name":"cjs-pkg","main":"index.js"}');
  write("node_modules/cjs-pkg/index.js", "module.exports = { cjs: 2, method() { return 3 } }");
  write(
    "a.ts",
    'import { deep, type Deep } from "./lib/b.js";\nimport { c } from "./lib/c";\nexport interface Options { x: number }\nexport enum Mode { On }\nexport const a = (o: Options): Deep => deep(o.x) + c;\nexport function fails(x: number): never {\n  const y: number = x;\n  throw new Error("in a.ts " + y);\n}',
  );
  write("lib/b.ts", "export type Deep = number; export const deep = (n: number): Deep => n * 2");
  write("lib/c.ts", "export const c: number = 100");
  write("data.json", '{"k": [1]}');
  write("old.cjs", "module.exports = { v: 1 }");
  const book = notebook({ directory: folder });
  const { run } = book;
  after(async () => {
    await book.session.dispose();
    rmSync(folder, { recursive: true });
  });
  const value = async (code: string): Promise<string | undefined> => {
    const { text, traceback } = await run(code);
    assert.equal(traceback, "");
    return text;
  };

  it("find built-ins, ESM and CommonJS packages from the notebook's folder", async () => {
    assert.equal(
      await value(
        "import fs, { existsSync } from 'node:fs'; import * as path from 'path'; [existsSync === fs.existsSync, path.sep]",
      ),
      "[ true, '/' ]",
    );
    assert.equal(
      await value(
        "import f, { esm as renamed } from 'esm-pkg'; import cjs, { method } from 'cjs-pkg'; [renamed, f(), cjs.cjs, method()]",
      ),
      "[ 1, 'default', 2, 3 ]",
    );
    assert.equal(await value("(await import('esm-pkg')).esm + require('cjs-pkg').cjs"), "3");
  });

  it("find local TypeScript files, their imports in every spelling, and JSON", async () => {
    assert.equal(
      await value("import { a, Options, Mode, type Options as O } from './a.ts'; [a({ x: 1 }), Mode.On]"),
      "[ 102, 0 ]",
    );
    assert.equal(
      await value("import data from './data.json'; import { k } from './data.json' with { type: 'json' }; [data, k]"),
      "[ { k: [ 1 ] }, [ 1 ] ]",
    );
  });

  it("fall back to what the kernel's own package can find", async () => {
    assert.equal(await value("import { z } from 'zod'; z.number().parse(3)"), "3");
    assert.equal(await value("import info from 'policyscope/package.json'; info.name"), "'policyscope'");
  });

  it("load a file again after it, or what it imports, has changed", async () => {
    write("lib/b.ts", "export type Deep = number; export const deep = (n: number): Deep => n * 3");
    assert.equal(await value("import { a } from './a.ts'; a({ x: 1 })"), "103");
    assert.equal(await value("(await import('./a')).a({ x: 1 })"), "103");
    assert.equal(await value("require('./old.cjs').v"), "1");
    write("old.cjs", "module.exports = { v: 2 }");
    assert.equal(await value("require('./old.cjs').v"), "2");
    assert.equal(
      await value("import { a as first } from './a.ts'; const again = (await import('./a.ts')).a; first === again"),
      "true",
    );
  });

  it("are live: what a cell imports is what the module has by then, in closures and in later cells too", async () => {
    write(
      "live.ts",
      'export let count = 0; export const inc = (by = 1): void => { count += by }; export default () => count;\nexport function self(this: unknown) { return typeof this }\nexport let late: (() => number) | undefined; export const set = () => { late = () => 7 };\nexport const tag = (text: TemplateStringsArray) => text.raw.join("!"); export class Base { at = count }\nexport function boom(): never { throw new Error("boom") }\nconst odd = 4; export { odd as "an odd name" }',
    );
    assert.equal(
      await value("const early = () => count; import { count, inc } from './live.ts'; inc(); [count, early()]"),
      "[ 1, 1 ]",
    );
    await value("const read = () => count; const inObject = { count, inc }");
    assert.equal(await value("inc(4); [count, read(), early(), { count }]"), "[ 5, 5, 5, { count: 5 } ]");
    assert.equal(
      await value("import def, * as all from './live.ts'; inObject.inc(); [def(), all.count, inObject.count]"),
      "[ 6, 6, 1 ]",
    );
    await value("import { self, tag, Base, late, set, boom, 'an odd name' as odd } from './live.ts'");
    assert.equal(
      await value(
        "let list = [1]\nif (list)\n  self()\nlist = [self(), (self)(), self?.(), self.call(3), tag`a`, odd]\nself ()\nlist",
      ),
      "[ 'undefined', 'undefined', 'undefined', 'number', 'a', 4 ]",
    );
    assert.equal(
      await value("class Derived extends Base { twice = count * 2 }; new Derived()"),
      "Derived { at: 6, twice: 12 }",
    );
    const { traceback } = await run("if (1)\n  late()");
    assert.match(traceback, /TypeError: late is not a function\n {4}at Cell In\[\d+\]:2:3/);
    assert.equal(await value("set(); late()"), "7");
    assert.match((await run("  boom  (  )")).traceback, /boom \(.*live\.ts:5:39\)\n {4}at Cell In\[\d+\]:1:3/);
    assert.match((await run("let three = [1]\nboom()")).traceback, /\n {4}at Cell In\[\d+\]:2:1/);
  });

  it("cannot be assigned, and may be declared again", async () => {
    for (const code of ["count = 5", "count++", "({ count } = { count: 3 })", "for (count of [1]) {}", "[count] = [1]"])
      assert.match((await run(code)).traceback, /TypeError: Assignment to constant variable\.\n {4}at Cell In/, code);
    for (const [code, seen] of [
      ["const count = 100", "100"],
      ["import { count } from './live.ts'", "6"],
      ["let count = 1; count += 5", "6"],
      ["import { default as count } from './live.ts'", "[Function: default]"],
      ["function count() {}", "[Function: count]"],
      ["import { count } from './live.ts'", "6"],
      ["enum count { A }", "{ '0': 'A', A: 0 }"],
      ["import * as count from 'node:path'; count.sep", "[Module: null prototype]"],
    ] as const) {
      await value(code);
      assert.match(
        String(await value("read()")),
        new RegExp(`^${seen.replace(/[[\](){}]/g, "\\$&").slice(0, 8)}`),
        code,
      );
    }
    assert.match((await run("import { count } from './not-there.ts'")).traceback, /Cannot find module/);
    assert.equal(await value("typeof read().sep"), "'string'");
    assert.match((await run("import { count } from './live.ts'; const { fails } = null")).traceback, /TypeError/);
    assert.equal(await value("count + read()"), "12");
    assert.match((await run("null.x; let count = 1")).traceback, /TypeError/);
    assert.equal(await value("inc(); count + read()"), "14");
    assert.match((await run("count(); function count() { throw new Error('mine') }")).traceback, /Error: mine/);
  });

  it("of names that Node has stand beside them", async () => {
    await value("import { performance } from 'node:perf_hooks'; import process, { argv } from 'node:process'");
    assert.equal(
      await value(
        "[performance.now() > 0, globalThis.performance === performance, typeof process.pid, argv.length > 0]",
      ),
      "[ true, true, 'number', true ]",
    );
  });

  it("are kept as they were first loaded where hot reload is off", async () => {
    const other = notebook({ directory: folder, env: { POLICYSCOPE_HOT_RELOAD: "off" } });
    try {
      write("kept.ts", "export const kept: number = 1");
      write("kept.cts", "export const old: number = 1");
      const both = "(await import('./kept.ts')).kept + require('./kept.cts').old";
      assert.equal((await other.run(both)).text, "2");
      write("kept.ts", "export const kept: number = 10");
      write("kept.cts", "export const old: number = 10");
      assert.equal((await other.run(both)).text, "2");
      assert.equal(await value(both), "20");
    } finally {
      await other.session.dispose();
    }
  });

  it("keep their places in stacks", async () => {
    const { traceback, cell } = await run("import { fails } from './a.ts';\nfails(3)");
    assert.ok(traceback.includes(`at fails (${join(folder, "a.ts")}:8:9)\n    at Cell In[${cell}]:2:1`), traceback);
  });

  it("that fail name the thing and the remedy", async () => {
    const missing = await run("\nimport nothing from 'not-there'");
    assert.match(missing.traceback, /Cannot find package 'not-there'.*%npm add not-there/);
    assert.match(missing.traceback, /Cell In\[\d+\]:2:1/);
    assert.doesNotMatch(missing.traceback, /node:internal|hooks/);
    assert.match((await run("import { nope } from 'node:fs'")).traceback, /does not provide an export named 'nope'/);
    write("broken.ts", "export const = 1");
    assert.match((await run("import './broken.ts'")).traceback, /SyntaxError: .*\n {4}at .*broken\.ts:1:14/);
  });

  it("tell a type from a name that is not there", async () => {
    write("shapes.ts", "export interface Shape { side: number }\nexport type Alias = string");
    write(
      "reexports.ts",
      "import { Shape } from './shapes'; export { Shape, Alias as Other } from './shapes';\nexport * from './shapes'; export const one: Shape = { side: 1 }",
    );
    assert.equal(await value("import { Shape, one, Other } from './reexports'; const s: Shape = one; s.side"), "1");
    assert.equal(
      await value("import { PathLike, sep } from 'node:fs'; 1").catch((error) => /'sep'/.test(String(error))),
      true,
    );
    assert.equal(await value("import { PathLike, existsSync } from 'node:fs'; typeof existsSync"), "'function'");
    assert.equal(await value("import type { Stats } from 'node:fs'; let stats: Stats | undefined; 8"), "8");
    for (const from of ["./shapes.ts", "esm-pkg", "node:fs"])
      assert.match(
        (await run(`import { Missing } from '${from}'`)).traceback,
        /SyntaxError: .* export named 'Missing'/,
      );
    assert.match((await run("import { existSync } from 'node:fs'")).traceback, /Did you mean 'existsSync'\?/);
  });

  it("follow tsconfig.json: paths, and decorators of before the standard", async () => {
    write("lib/deep/util.ts", "export const util: string = 'util'");
    write(
      "tsconfig.base.json",
      '{ "compilerOptions": { "baseUrl": ".", "paths": { "@deep/*": ["lib/deep/*"], }, } } // base',
    );
    write(
      "tsconfig.json",
      '{ "extends": "./tsconfig.base.json", /* c */ "compilerOptions": { "experimentalDecorators": true } }',
    );
    write(
      "decorated.ts",
      "import { util } from '@deep/util'; export const seen: unknown[] = [util]; function log(...all: unknown[]) { seen.push(all.length) }\nclass X { @log method() {} constructor(@log x: number) {} }",
    );
    assert.equal(
      await value(
        "import { seen } from './decorated'; import { util } from '@deep/util.ts'; [seen, util, require('@deep/util').util]",
      ),
      "[ [ 'util', 3, 3 ], 'util', 'util' ]",
    );
    assert.equal(
      await value(
        "let count = 0; function dec(...all: unknown[]) { count = all.length } class Y { @dec z() {} }\ncount",
      ),
      "3",
    );
    rmSync(join(folder, "tsconfig.json"));
    assert.equal(await value("class Z { @dec z() {} }\ncount"), "2");
  });

  it("take TypeScript in workers and child processes too", async () => {
    write(
      "worker.ts",
      "import { parentPort, workerData } from 'node:worker_threads'; import { util } from './lib/deep/util'; enum E { A = 3 }\nparentPort!.postMessage([E.A, util, workerData as number])",
    );
    write("child.ts", "enum E { A = 4 }\nprocess.send!([E.A, ...process.argv.slice(2)])");
    await run(
      "import { Worker } from 'node:worker_threads'; import { fork } from 'node:child_process'; const heard = (from: any) => new Promise((yes, no) => from.once('message', yes).once('error', no))",
    );
    assert.equal(
      await value("await heard(new Worker(new URL('./worker.ts', import.meta.url), { workerData: 5 }))"),
      "[ 3, 'util', 5 ]",
    );
    assert.equal(await value("await heard(new Worker('./worker.ts', { workerData: 6 }))"), "[ 3, 'util', 6 ]");
    assert.equal(await value("await heard(fork('./child.ts', ['x']))"), "[ 4, 'x' ]");
  });

  it("require takes TypeScript and says how to install", async () => {
    assert.equal(await value("require('./a').a({ x: 1 })"), "103");
    assert.match(
      (await run("require('not-there')")).traceback,
      /Cannot find module 'not-there'. To install it: %npm add not-there/,
    );
    assert.equal(await value("(await eval(\"import('node:path')\")).sep"), "'/'");
    assert.equal(
      await value(
        "[import.meta.resolve('./a.ts').slice(-5), import.meta.resolve('esm-pkg').slice(-16), import.meta.resolve('fs')]",
      ),
      "[ '/a.ts', 'esm-pkg/index.js', 'node:fs' ]",
    );
  });

  it("are found next to the notebook that Jupyter names, where the working directory has none", async () => {
    write("elsewhere/package.json", "{}");
    const other = notebook({
      directory: join(folder, "elsewhere"),
      env: { JPY_SESSION_NAME: join(folder, "some.ipynb") },
    });
    try {
      assert.equal(
        (await other.run("import { c } from './lib/c'; import { esm } from 'esm-pkg'; [c, esm]")).text,
        "[ 100, 1 ]",
      );
    } finally {
      await other.session.dispose();
    }
  });

  it("import.meta speaks of the notebook's folder", async () => {
    assert.equal(await value("import.meta.dirname === process.cwd() && import.meta.url.startsWith('file:')"), "true");
  });
});
