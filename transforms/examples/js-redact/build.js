// Makes dist/redact.wasm of redact.js.

import { mkdir, writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize({
  sourcePath: 'redact.js',
  witPath: '../../../wit/v0.1.0',
  worldName: 'smt',
  // A component has no network; the worker refuses one that imports it.
  disableFeatures: ['http', 'fetch-event', 'random', 'clocks'],
});
await mkdir('dist', { recursive: true });
await writeFile('dist/redact.wasm', component);
