import { readFile, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize(await readFile("app.js", "utf8"), {
  witPath: "wit",
  worldName: "{name}",
  // It asks for nothing: no clock, no randomness, no streams, no requests.
  disableFeatures: ["clocks", "http", "random", "stdio", "fetch-event"],
});
await writeFile("{name}.wasm", component);
