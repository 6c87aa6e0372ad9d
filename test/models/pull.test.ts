import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { cacheFolder } from "../../src/models/cache.js";
import { findPullable, type Pullable, pull, pullables, pulledFile } from "../../src/models/pull.js";
import { downloadSourcePackage } from "../../src/models/sourcePackage.js";
import { readTar } from "../../src/models/tar.js";

const root = mkdtempSync(join(tmpdir(), "policyscope-pull-"));
after(() => rmSync(root, { recursive: true }));
const skip = process.platform === "win32" ? { skip: "the stand-in for Python is a script with a #! line" } : {};

const archive = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const pkg = {
  name: "some-package",
  version: "1.0",
  bytes: archive.length,
  sha256: createHash("sha256").update(archive).digest("hex"),
};
const file = join(root, "archive.part");
beforeEach(() => rmSync(file, { force: true }));

/** A program that is called as Python would be, with the arguments `-c HELPER NAME VERSION START`. */
function standIn(body: string): string {
  const path = join(mkdtempSync(join(root, "python-")), "python");
  writeFileSync(
    path,
    `#!${process.execPath}\nconst fs = require("node:fs");\nconst start = Number(process.argv[6]);\nconst archive = fs.readFileSync(${JSON.stringify(join(root, "served"))});\n${body}\n`,
  );
  chmodSync(path, 0o755);
  return path;
}
const serveFrom = (start: string, end = "undefined") =>
  `const from = ${start}; process.stdout.write(from + "\\n"); process.stdout.write(archive.subarray(from, ${end}));`;
writeFileSync(join(root, "served"), archive);

test("a package is fetched, with progress, and what was fetched before is gone on with", skip, async () => {
  const seen: number[] = [];
  await downloadSourcePackage(pkg, file, {
    python: standIn(serveFrom("start")),
    onProgress: (received) => seen.push(received),
  });
  assert.deepEqual(readFileSync(file), archive);
  assert.deepEqual([seen[0], seen.at(-1)], [0, archive.length]);
  writeFileSync(file, archive.subarray(0, 123_457));
  await downloadSourcePackage(pkg, file, {
    python: standIn(`if (start !== 123457) process.exit(9); ${serveFrom("start")}`),
  });
  assert.deepEqual(readFileSync(file), archive);
  await downloadSourcePackage(pkg, file, { python: standIn("process.exit(9)") });
});

test("a server that cannot resume sends all of it again", skip, async () => {
  writeFileSync(file, archive.subarray(0, 5000));
  await downloadSourcePackage(pkg, file, { python: standIn(serveFrom("0")) });
  assert.deepEqual(readFileSync(file), archive);
});

test("a download that breaks off says so, and what came is kept for the next time", skip, async () => {
  const broken = standIn(
    `${serveFrom("start", "start + 100000")} console.error("ConnectionError: reset"); process.exitCode = 1;`,
  );
  await assert.rejects(
    downloadSourcePackage(pkg, file, { python: broken }),
    /some-package 1\.0 could not be fetched \(100000 of 300000 bytes came\): ConnectionError: reset.*goes on where it stopped/,
  );
  await downloadSourcePackage(pkg, file, { python: standIn(serveFrom("start")) });
  assert.deepEqual(readFileSync(file), archive);
});

test("other bytes than expected are removed", skip, async () => {
  await assert.rejects(
    downloadSourcePackage({ ...pkg, sha256: "0".repeat(64) }, file, { python: standIn(serveFrom("start")) }),
    /checksum 0000000000000000.*Fetch it again/,
  );
  assert.ok(!existsSync(file));
});

test("without pip the error says what to install", skip, async () => {
  const message = /No usable pip was found, which fetches some-package 1\.0 .*Install Python 3\.9/;
  await assert.rejects(downloadSourcePackage(pkg, file, { python: join(root, "nowhere") }), message);
  await assert.rejects(downloadSourcePackage(pkg, file, { python: standIn("process.exit(41)") }), message);
});

test("a fetch can be stopped", skip, async () => {
  const stop = new AbortController();
  const slow = standIn(`${serveFrom("start", "1000")} setInterval(() => {}, 1000);`);
  const onProgress = (received: number) => received > 0 && stop.abort(new Error("enough"));
  await assert.rejects(downloadSourcePackage(pkg, file, { python: slow, signal: stop.signal, onProgress }), /enough/);
});

/** One file of a tar archive. */
function tarred(name: string, body: Uint8Array): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("0", 156);
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

test("a tar archive is walked in whatever pieces it comes", async () => {
  const long = `${"deep/".repeat(40)}file`;
  const paxBody = Buffer.from(`${long.length + 10} path=${long}\n`);
  const pax = tarred("pax", paxBody);
  pax.write("x", 156);
  const tar = Buffer.concat([
    tarred("a", Buffer.from("hello")),
    tarred("skipped", Buffer.alloc(1500, 7)),
    pax,
    tarred("short", Buffer.from("world")),
    Buffer.alloc(1024),
  ]);
  for (const size of [1, 511, 4096]) {
    const pieces = (async function* () {
      for (let i = 0; i < tar.length; i += size) yield tar.subarray(i, i + size);
    })();
    const found: string[] = [];
    for await (const { name, body } of readTar(pieces)) {
      if (name === "skipped") continue;
      let text = "";
      for await (const piece of body) text += Buffer.from(piece).toString();
      found.push(`${name}=${text}`);
    }
    assert.deepEqual(found, ["a=hello", `${long}=world`]);
  }
});

test("what is unpacked appears whole under its name, once; what was left half done is cleared away", skip, async () => {
  const snippets = Buffer.from("1\t2.5\tA fine film\n");
  const inner = gzipSync(
    Buffer.concat([tarred("other", Buffer.from("x")), tarred("inner/snippets.txt", snippets), Buffer.alloc(1024)]),
  );
  const outer = gzipSync(Buffer.concat([tarred("pkg/inner.tar.gz", inner), Buffer.alloc(1024)]));
  const served = join(root, "served");
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const tiny: Pullable = {
    name: "tiny",
    kind: "dataset",
    description: "for this test",
    from: { name: "pkg", version: "1", bytes: outer.length, sha256: sha256(outer) },
    path: ["pkg/inner.tar.gz", "inner/snippets.txt"],
    bytes: snippets.length,
    sha256: sha256(snippets),
  };
  const cache = join(root, "cache");
  mkdirSync(join(cache, "datasets", "tiny"), { recursive: true });
  writeFileSync(join(cache, "datasets", "tiny", "snippets.txt.123.part"), "half");
  writeFileSync(served, outer);
  try {
    const options = { cache, python: standIn(serveFrom("start")), known: [tiny] };
    assert.equal(await pulledFile("tiny", cache, [tiny]), undefined);
    const [first, second] = await Promise.all([pull("tiny", options), pull("tiny", options)]);
    assert.equal(first, second);
    assert.equal(readFileSync(first, "utf8"), snippets.toString());
    assert.deepEqual(readdirSync(join(cache, "datasets", "tiny")), ["snippets.txt"]);
    assert.deepEqual(readdirSync(join(cache, "downloads")), []);
    assert.equal(await pulledFile("tiny", cache, [tiny]), first);
    const wrong = { ...tiny, name: "wrong", sha256: "0".repeat(64) };
    await assert.rejects(
      pull("wrong", { ...options, known: [wrong] }),
      /"wrong": the unpacked file does not have the checksum/,
    );
    assert.deepEqual(readdirSync(join(cache, "datasets", "wrong")), []);
  } finally {
    writeFileSync(served, archive);
  }
});

test("unknown names are answered with the known ones and the nearest", () => {
  assert.throws(
    () => findPullable("smollm-135m"),
    /Nothing named "smollm-135m" can be pulled: did you mean "smollm2-135m"\? There are: smollm2-135m, movie-snippets/,
  );
  assert.deepEqual(
    pullables.map(({ name }) => name),
    ["smollm2-135m", "movie-snippets"],
  );
});

test("the cache follows the platform, and POLICYSCOPE_CACHE moves it", () => {
  assert.equal(cacheFolder({ POLICYSCOPE_CACHE: "/there" }), "/there");
  assert.equal(cacheFolder({ XDG_CACHE_HOME: "/x" }, "linux"), join("/x", "policyscope"));
  assert.match(cacheFolder({}, "darwin"), /Library.Caches.policyscope$/);
  assert.match(cacheFolder({ LOCALAPPDATA: "C:\\Local" }, "win32"), /policyscope.Cache$/);
});
