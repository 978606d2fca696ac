// Makes dist/redact.wasm, or the file named on the command line, of redact.js.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { componentize } from '@bytecodealliance/componentize-js';

const output = process.argv[2] ?? 'dist/redact.wasm';

const { component } = await componentize({
  sourcePath: 'redact.js',
  witPath: '../../../wit/v0.1.0',
  worldName: 'smt',
  // A component has no network; the worker refuses one that imports it.
  disableFeatures: ['http', 'fetch-event', 'random', 'clocks'],
});
await mkdir(dirname(output), { recursive: true });
await writeFile(output, component);
