// Runs each function that build/tests/index.wasm exports as a test.

import { readFileSync } from "node:fs";
import { test } from "node:test";

const abort = (_message, _file, line) => {
  throw new Error(`the assertion in line ${line} of tests/index.ts does not hold`);
};
const { instance } = await WebAssembly.instantiate(readFileSync("build/tests/index.wasm"), { env: { abort } });
for (const [name, run] of Object.entries(instance.exports)) {
  if (typeof run === "function") {
    test(name.replaceAll("_", " "), () => run());
  }
}
