// Record batches, values and deltas of millrace:connect@0.1.0 in plain JavaScript; see wit/README.md for the layouts. Values stay
// encoded: what is not asked for is never decoded, so 64-bit integers and 2.0 come through as they were.

const ROW = 64;
const NONE = 0xffffffff;
const ALL_KEPT = 1;
const KEEP = 0;
const CHANGE = 1;
const FAIL = 3;
const VALUE_CHANGED = 16;

export const Tag = { null: 0, string: 9, map: 12, struct: 13 };

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

// What each tag's payload measures; -1 for those that carry their length.
const WIDTHS = [0, 0, 0, 1, 2, 4, 8, 4, 8, -1, -1, -1, -1, -1, -1, 4, 4, 8];

// Size in bytes of the encoded value at `at`.
function sizeOf(view, at) {
  const width = WIDTHS[view.getUint8(at)];
  return width < 0 ? 5 + view.getUint32(at + 1, true) : 1 + width;
}

export const tagOf = (value) => (value === null ? Tag.null : value[0]);

// The text of an encoded string, or undefined for another type.
export const textOf = (value) => (value[0] === Tag.string ? decoder.decode(value.subarray(5)) : undefined);

// An encoded string.
export function text(value) {
  const utf8 = encoder.encode(value);
  const bytes = new Uint8Array(5 + utf8.length);
  bytes[0] = Tag.string;
  viewOf(bytes).setUint32(1, utf8.length, true);
  bytes.set(utf8, 5);
  return bytes;
}

// A map or struct with fields replaced: `replace(name)` is asked for each field and gets its encoded value, and answers with
// another or with undefined. Returns the same bytes when nothing changed.
export function mapFields(value, fieldNames, replace) {
  const view = viewOf(value);
  const isMap = value[0] === Tag.map;
  const parts = [];
  let copied = 9;
  let at = 9;
  for (let index = 0; at < value.length; index++) {
    let name = isMap ? '' : fieldNames[index];
    if (isMap) {
      const size = sizeOf(view, at);
      name = textOf(value.subarray(at, at + size));
      at += size;
    }
    const size = sizeOf(view, at);
    const changed = replace(name, value.subarray(at, at + size));
    if (changed !== undefined) {
      parts.push(value.subarray(copied, at), changed);
      copied = at + size;
    }
    at += size;
  }
  if (parts.length === 0) return value;
  parts.push(value.subarray(copied));
  const length = parts.reduce((sum, part) => sum + part.length, 9);
  const bytes = new Uint8Array(length);
  bytes.set(value.subarray(0, 9));
  viewOf(bytes).setUint32(1, length - 5, true);
  let to = 9;
  for (const part of parts) {
    bytes.set(part, to);
    to += part.length;
  }
  return bytes;
}

// Names of the fields of an encoded struct schema.
function fieldNamesOf(bytes) {
  const view = viewOf(bytes);
  const names = [];
  readSchema(0, names);
  return names;

  function skipText(at) {
    return at + 4 + view.getUint32(at, true);
  }

  function readSchema(at, into) {
    const [type, flags] = [bytes[at], bytes[at + 1]];
    at += 2;
    if (flags & 2) at = skipText(at); // name
    if (flags & 4) at += 4; // version
    if (flags & 8) at = skipText(at); // documentation
    if (flags & 16) {
      const count = view.getUint32(at, true);
      at += 4;
      for (let i = 0; i < count * 2; i++) at = skipText(at);
    }
    if (flags & 32) at = skipText(at); // default
    if (type === 11) {
      const count = view.getUint32(at, true);
      at += 4;
      for (let i = 0; i < count; i++) {
        const end = skipText(at);
        into?.push(decoder.decode(bytes.subarray(at + 4, end)));
        at = readSchema(end);
      }
    }
    if (flags & 64) at = readSchema(at); // keys of a map
    if (flags & 128) at = readSchema(at); // values of a map, elements of an array
    return at;
  }
}

// Calls `change({ value, fieldNames })` for each record of a batch and answers with the delta: the value may come back as it was,
// changed, or not at all: an exception's message becomes the reason why the record failed.
export function mapValues(batch, change) {
  const view = viewOf(batch);
  const [topics, schemas, rows, heapSize] = [4, 8, 12, 16].map((at) => view.getUint32(at, true));
  let at = 32 + rows * ROW;
  for (let i = 0; i < topics; i++) at += 4 + view.getUint32(at, true);
  const schemaBytes = [];
  for (let i = 0; i < schemas; i++) {
    const size = view.getUint32(at, true);
    schemaBytes.push(batch.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  const heap = batch.subarray(batch.length - heapSize);
  const namesBySchema = new Map();
  const fieldNames = (id) => {
    if (!namesBySchema.has(id)) namesBySchema.set(id, id === 0 ? [] : fieldNamesOf(schemaBytes[id - 1]));
    return namesBySchema.get(id);
  };

  const delta = new Delta(rows);
  for (let row = 0; row < rows; row++) {
    const base = 32 + row * ROW;
    const [start, size, schema] = [32, 36, 52].map((offset) => view.getUint32(base + offset, true));
    const value = start === NONE ? null : heap.subarray(start, start + size);
    try {
      const changed = change({ value, get fieldNames() { return fieldNames(schema); } });
      if (changed === value) delta.keep();
      else delta.changeValue(changed, schema);
    } catch (error) {
      delta.fail(error.stage ?? 0, error.message);
    }
  }
  return delta.finish();
}

class Delta {
  constructor(inputs) {
    this.verdicts = new Uint8Array(inputs);
    this.next = 0;
    this.changes = [];
    this.failures = [];
    this.heap = [];
    this.heapSize = 0;
  }

  keep() {
    this.verdicts[this.next++] = KEEP;
  }

  changeValue(value, schema) {
    this.changes.push({ input: this.next, slice: this.store(value), schema });
    this.verdicts[this.next++] = CHANGE;
  }

  fail(stage, reason) {
    this.failures.push({ input: this.next, stage, slice: this.store(encoder.encode(reason)) });
    this.verdicts[this.next++] = FAIL;
  }

  store(bytes) {
    const slice = [this.heapSize, bytes.length];
    this.heap.push(bytes);
    this.heapSize += bytes.length;
    return slice;
  }

  finish() {
    const allKept = this.changes.length === 0 && this.failures.length === 0;
    const verdicts = allKept ? 0 : this.verdicts.length;
    const size = 32 + verdicts + this.changes.length * (8 + ROW) + this.failures.length * 16 + this.heapSize;
    const bytes = new Uint8Array(size);
    const view = viewOf(bytes);
    bytes.set(encoder.encode('MRD1'));
    const header = [this.next, 0, 0, this.changes.length, this.failures.length, this.heapSize, allKept ? ALL_KEPT : 0];
    let at = 4;
    const u32 = (number) => {
      view.setUint32(at, number, true);
      at += 4;
    };
    header.forEach(u32);
    if (!allKept) bytes.set(this.verdicts, at);
    at += verdicts;
    for (const { input, slice, schema } of this.changes) {
      u32(input);
      u32(VALUE_CHANGED);
      view.setUint32(at + 32, slice[0], true);
      view.setUint32(at + 36, slice[1], true);
      view.setUint32(at + 52, schema, true);
      at += ROW;
    }
    for (const { input, stage, slice } of this.failures) [input, stage, ...slice].forEach(u32);
    for (const part of this.heap) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
