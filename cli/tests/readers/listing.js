// Lists an archive with Node's zlib and a reader of ustar and GNU headers.
"use strict";
const { createHash } = require("node:crypto");
const { createReadStream } = require("node:fs");
const { createGunzip } = require("node:zlib");

const text = (field) => {
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end);
};
const number = (field) => parseInt(text(field).toString("latin1"), 8);
const long = (data) => data.subarray(0, data.length - 1);

function list(tar) {
  let at = 0;
  let name = null;
  let link = null;
  for (;;) {
    const head = tar.subarray(at, at + 512);
    if (head.length < 512) throw new Error("the tar has no end");
    if (head.every((byte) => byte === 0)) break;
    const spaced = Buffer.from(head).fill(" ", 148, 156);
    const sum = spaced.reduce((sum, byte) => sum + byte, 0);
    if (sum !== number(head.subarray(148, 156))) throw new Error(`checksum at ${at}`);
    const size = number(head.subarray(124, 136));
    const type = String.fromCharCode(head[156]);
    const data = tar.subarray(at + 512, at + 512 + size);
    if (data.length < size) throw new Error(`cut off at ${at}`);
    at += 512 + Math.ceil(size / 512) * 512;
    if (type === "L") {
      name = long(data);
      continue;
    }
    if (type === "K") {
      link = long(data);
      continue;
    }
    const short = text(head.subarray(0, 100));
    const isPosix = head.subarray(257, 263).equals(Buffer.from("ustar\0"));
    const prefix = isPosix ? text(head.subarray(345, 500)) : Buffer.alloc(0);
    name ??= prefix.length ? Buffer.concat([prefix, Buffer.from("/"), short]) : short;
    link ??= text(head.subarray(157, 257));
    if (name.at(-1) === 0x2f) name = name.subarray(0, -1);
    const kind = { 0: "f", 2: "l", 5: "d" }[type] ?? "?";
    const mode = number(head.subarray(100, 108)).toString(8);
    const mtime = number(head.subarray(136, 148));
    const hash = createHash("sha1").update(data).digest("hex");
    console.log(kind, name.toString("hex"), size, mode, mtime, link.toString("hex") || "-", hash);
    name = link = null;
  }
  if (!tar.subarray(at).every((byte) => byte === 0)) throw new Error("bytes behind the end");
}

const chunks = [];
createReadStream(process.argv[2])
  .pipe(createGunzip())
  .on("data", (chunk) => chunks.push(chunk))
  .on("end", () => list(Buffer.concat(chunks)));
