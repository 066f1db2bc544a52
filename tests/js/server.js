// Starts the server that JORMUN_BINARY names, on a free port with a temporary data directory.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const START_MS_MAX = 60_000;

export async function startServer(...flags) {
  const binary = process.env.JORMUN_BINARY;
  if (!binary) throw new Error("JORMUN_BINARY names the server to test: run `make test-js`");
  const directory = await mkdtemp(join(tmpdir(), "jormundb-"));
  const child = spawn(binary, ["--port", "0", "--host", "127.0.0.1", "--data-dir", directory, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const watchdog = setTimeout(() => child.kill("SIGKILL"), START_MS_MAX);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let banner = "";
  let endpoint;
  for await (const line of createInterface({ input: child.stdout })) {
    banner += `${line}\n`;
    endpoint ??= line.match(/address\s+(http:\/\/\S+)/)?.[1];
    if (line.includes("Ready to accept connections")) break;
  }
  clearTimeout(watchdog);
  if (!endpoint) {
    child.kill("SIGKILL");
    throw new Error(`the server did not become ready: ${banner}`);
  }
  child.stdout.resume();
  return {
    endpoint,
    async stop() {
      child.kill("SIGTERM");
      const code = await exited;
      await rm(directory, { recursive: true });
      return code;
    },
  };
}
