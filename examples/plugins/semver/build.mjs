import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

const bundled = await build({ entryPoints: ["app.js"], bundle: true, format: "esm", write: false });
const { component } = await componentize(bundled.outputFiles[0].text, {
  witPath: "wit",
  worldName: "semver",
  disableFeatures: ["clocks", "http", "random", "stdio", "fetch-event"],
});
await writeFile("semver.wasm", component);
