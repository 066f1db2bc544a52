// The README's JavaScript program, as it stands there, with only the server's address replaced.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";

import { startServer } from "./server.js";

test("the README's program prints what the README says", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const [, program, printed] = readme.match(/^```js\n(.*?)^```\n\n```text\n(.*?)^```$/ms);
  const server = await startServer();
  try {
    const code = program.replace("http://127.0.0.1:8002", server.endpoint);
    // Run from here, so that the imports resolve.
    const options = { cwd: import.meta.dirname, timeout: 60_000 };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code], options);
    assert.equal(stdout, printed);
  } finally {
    await server.stop();
  }
});
