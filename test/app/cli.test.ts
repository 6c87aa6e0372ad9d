import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const folder = mkdtempSync(join(tmpdir(), "cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const cli = resolve("dist/app/cli.js");

/** Runs the command line in an empty folder. */
function policyscope(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: folder,
      env: { ...process.env, POLICYSCOPE_HOME: join(folder, "home"), NO_COLOR: "1" },
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    child.on("error", failed);
    child.on("close", (code) => done({ code, out, err }));
  });
}

async function refused(message: RegExp, ...args: string[]): Promise<void> {
  const { code, err } = await policyscope(...args);
  assert.equal(code, 1, `${args.join(" ")}: ${err}`);
  assert.match(err, message);
  assert.doesNotMatch(err, /\n\s+at /, "no stack");
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

function notebook(name: string, ...cells: readonly { source: string; tags?: readonly string[] }[]): string {
  const book = {
    cells: cells.map(({ source, tags = [] }, i) => ({
      cell_type: "code",
      id: `cell-${i}`,
      execution_count: null,
      metadata: { tags },
      outputs: [],
      source,
    })),
    metadata: {},
    nbformat: 4,
    nbformat_minor: 5,
  };
  return write(name, JSON.stringify(book));
}

test("help lists the commands; what is no command is said", async () => {
  const { code, out } = await policyscope("--help");
  assert.equal(code, 0);
  for (const name of ["install", "uninstall", "lab", "run", "train", "pull", "doctor"]) {
    assert.match(out, new RegExp(`^ +${name} `, "m"));
  }
  await refused(/unknown command 'trian'.*Did you mean train/s, "trian");
  await refused(/missing required argument 'notebook'/, "run");
});

describe("run", () => {
  test("runs cells with parameters, and writes a notebook and a page", async () => {
    const file = notebook(
      "ok.ipynb",
      { source: "let steps = 1; let word = 'none';", tags: ["parameters"] },
      { source: "console.log('steps are ' + (steps + 1) + ' of ' + word)" },
    );
    const { code, err } = await policyscope(
      ...["run", file, "-p", "steps=41", "-p", "word=film"],
      ...["--output", "out/done.ipynb", "--output", "out/done.html"],
    );
    assert.equal(code, 0, err);
    assert.match(err, /cell 3 of 3/);
    const done = readFileSync(join(folder, "out/done.ipynb"), "utf8");
    assert.match(done, /steps are 42 of film/);
    assert.match(done, /injected-parameters/);
    assert.match(readFileSync(join(folder, "out/done.html"), "utf8"), /<!doctype html>[\s\S]*steps are 42 of film/i);
    assert.doesNotMatch(readFileSync(join(folder, file), "utf8"), /injected/, "the notebook itself stays");
  });

  test("a cell that fails ends it with its message, and what ran is written", async () => {
    const file = notebook("fails.ipynb", { source: "1 + 1" }, { source: "throw new Error('the soup is cold')" });
    const { code, err } = await policyscope("run", file, "--output", "fails-out.ipynb");
    assert.equal(code, 1);
    assert.match(err, /cell 2 of .*fails\.ipynb failed:[\s\S]*the soup is cold/);
    assert.match(readFileSync(join(folder, "fails-out.ipynb"), "utf8"), /the soup is cold/);
  });

  test("a cell that runs too long is interrupted; Ctrl-C keeps what ran", {
    skip: process.platform === "win32",
  }, async () => {
    const slow =
      "for (let tick = 0; ; tick++) { console.log('tick', tick); await new Promise((r) => setTimeout(r, 20)); }";
    const file = notebook("slow.ipynb", { source: "1 + 1" }, { source: slow }, { source: "'never'" });
    const late = await policyscope("run", file, "--timeout", "1", "--output", "late.ipynb");
    assert.equal(late.code, 1);
    assert.match(late.err, /cell 2 of .* failed:\nTimeout: the cell ran longer than the 1 s it was given/);
    await refused(/--timeout.*expected seconds/, "run", file, "--timeout", "soon");

    const running = spawn(process.execPath, [cli, "run", file, "--allow-errors", "--output", "kept.ipynb"], {
      cwd: folder,
      detached: true,
    });
    const ended = new Promise<number | null>((done) => running.on("close", done));
    let said = "";
    running.stderr.on("data", (text) => {
      said += text;
    });
    while (!said.includes("cell 2 of 3")) await sleep(50);
    await sleep(300);
    // As a terminal does: to the command and the kernel's processes alike.
    process.kill(-Number(running.pid), "SIGINT");
    assert.equal(await ended, 130, said);
    const { cells } = JSON.parse(readFileSync(join(folder, "kept.ipynb"), "utf8")) as {
      cells: { outputs: { output_type: string }[]; execution_count: number | null }[];
    };
    assert.deepEqual(
      cells.map(({ outputs, execution_count }) => [execution_count, ...outputs.map((output) => output.output_type)]),
      [[1, "execute_result"], [2, "stream", "error"], [null]],
    );
  });

  test("needs no Python, and displays end as they were last", async () => {
    const file = notebook(
      "shown.ipynb",
      { source: 'display("old", { display_id: "d" })' },
      {
        source:
          'display("new", { display_id: "d", update: true }); console.log("gone"); display.clear(); console.log("kept")',
      },
    );
    const path = process.env.PATH;
    process.env.PATH = dirname(process.execPath) === "/usr/bin" ? "/nonexistent" : dirname(process.execPath);
    try {
      const { code, err } = await policyscope("run", file, "--output", "shown-out.ipynb");
      assert.equal(code, 0, err);
    } finally {
      process.env.PATH = path;
    }
    const shown = readFileSync(join(folder, "shown-out.ipynb"), "utf8");
    assert.match(shown, /new[\s\S]*kept/);
    assert.doesNotMatch(shown, /'old'|gone\\n/);
  });

  test("what cannot be run is named", async () => {
    const file = notebook("fine.ipynb", { source: "1" });
    await refused(/there is no notebook .*nowhere\.ipynb; name a file/, "run", "nowhere.ipynb");
    await refused(/cannot be read as a notebook/, "run", write("broken.ipynb", "{"));
    await refused(/is not a notebook of nbformat 4/, "run", write("other.ipynb", "{}"));
    await refused(/-p steps: expected name=value/, "run", file, "-p", "steps");
    await refused(/--output page\.pdf: expected a file that ends in \.ipynb or \.html/, "run", file, "-o", "page.pdf");
  });
});

describe("train", () => {
  const lines = (...more: string[]): string =>
    ["model: tiny-reviews", "dataset: tiny-reviews/prompts", ...more, ""].join("\n");
  const tiny = ["batch_size: 2", "max_new_tokens: 4", "ppo_epochs: 1", "init_kl_coef: 0.1"];

  test("steps, then goes on with what the file says by then", async () => {
    const metrics = () =>
      readFileSync(join(folder, "first/metrics.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, number>);
    const more = ["steps: 2", "output_dir: first", "resume: true", ...tiny];
    const started = await policyscope("train", write("first.yaml", lines(...more)));
    assert.equal(started.code, 0, started.err);
    assert.match(started.err, /nothing to go on from/);
    assert.deepEqual(
      metrics().map(({ step }) => step),
      [0, 1],
    );
    assert.equal(metrics()[0]?.["objective/kl_coef"], 0.1);
    const resumed = await policyscope(
      "train",
      write("first.yaml", lines("learning_rate: 0.002", ...more).replace("steps: 2", "steps: 1")),
    );
    assert.equal(resumed.code, 0, resumed.err);
    assert.match(resumed.err, /going on after step 1/);
    assert.deepEqual(
      metrics().map((line) => [line.step, line["ppo/learning_rate"]]),
      [
        [0, 1.41e-5],
        [1, 1.41e-5],
        [2, 0.002],
      ],
    );
    assert.ok(existsSync(join(folder, "first/checkpoint/trainer.json")));
  });

  test("a file that will not do is named, and nothing is written", async () => {
    await refused(/there is no file .*nowhere\.yaml/, "train", "nowhere.yaml");
    await refused(/bad\.yaml is not YAML or JSON/, "train", write("bad.yaml", "a: [1"));
    await refused(/list\.yaml: expected lines of "key: value"/, "train", write("list.yaml", "- 1"));
    await refused(/names no model: add a line/, "train", write("none.yaml", "steps: 1"));
    const key = write("key.yaml", lines("learning_rat: 1", "output_dir: never"));
    await refused(/key\.yaml: config\.learning_rat: unknown key\. Did you mean "learning_?[rR]ate"/, "train", key);
    const typo = write("typo.yaml", lines("stpes: 1", "output_dir: never"));
    await refused(/typo\.yaml: unknown key "stpes"\. Did you mean "steps"/, "train", typo);
    await refused(/steps: 0 will not do/, "train", write("zero.yaml", lines("steps: 0", "output_dir: never")));
    assert.ok(!existsSync(join(folder, "never")));
  });
});

test("pull lists what there is, and knows what there is not", async () => {
  const { code, out } = await policyscope("pull");
  assert.equal(code, 0);
  assert.match(out, /smollm2-135m +model .*MB\n.*movie-snippets +dataset .*MB/);
  await refused(/Nothing named "smolm" can be pulled\. There are: smollm2-135m/, "pull", "smolm");
});

test("doctor says what works", async () => {
  const { out } = await policyscope("doctor");
  assert.match(out, /✓.* native engine +\S+ computes/);
  assert.match(out, /home folder +/);
});

test("install and uninstall below a prefix leave nothing behind", async () => {
  const spec = join(folder, "a prefix/share/jupyter/kernels/mine/kernel.json");
  const place = ["--prefix", "a prefix", "--name", "mine"];
  // The second time replaces the first.
  for (const name of ["TypeScript (old)", "TypeScript (mine)"]) {
    const installed = await policyscope("install", ...place, "--display-name", name);
    assert.equal(installed.code, 0, installed.err);
  }
  const { argv, display_name } = JSON.parse(readFileSync(spec, "utf8")) as { argv: string[]; display_name: string };
  assert.ok(existsSync(argv[1] ?? ""));
  assert.equal(display_name, "TypeScript (mine)");
  const extension = join(folder, "a prefix/share/jupyter/labextensions/policyscope");
  await policyscope("install", "--prefix", "a prefix", "--name", "second");
  const removed = await policyscope("uninstall", ...place);
  assert.equal(removed.code, 0, removed.err);
  assert.ok(!existsSync(spec));
  assert.ok(existsSync(extension), "the second registration needs it");
  await policyscope("uninstall", "--prefix", "a prefix", "--name", "second");
  assert.ok(!existsSync(extension));
  write("a-file", "");
  await refused(/cannot be registered in .*a-file.*Choose a folder you may write to/, "install", "--prefix", "a-file");
  await refused(/no kernel is registered in .*prefix/, "uninstall", ...place);
  await refused(/cannot be used with option/, "install", "--user", "--prefix", "prefix");
  await refused(/the prefix is empty/, "install", "--prefix", "");
  await refused(/display name is empty/, "install", "--prefix", "prefix", "--display-name", "");
  await refused(/unknown option '--prefx'.*Did you mean --prefix/s, "install", "--prefx", "prefix");
  // A folder that takes no folders: Node's own way of making them all never ends there.
  if (process.platform === "linux")
    await refused(/cannot be registered in \/proc\//, "install", "--prefix", "/proc/none");
});
