// Record batches, values and deltas of millrace:connect@0.1.0 in plain JavaScript; see wit/README.md for the layouts.
//
// Values stay encoded: what is not asked for is never decoded, so 64-bit integers and 2.0 come through as they were. An engine in a
// component interprets, so this works with offsets into the batch and makes few objects.

const ROW = 64;
const NONE = 0xffffffff;
const ALL_KEPT = 1;
const KEEP = 0;
const CHANGE = 1;
const FAIL = 3;
const VALUE_CHANGED = 16;

export const Tag = { null: 0, string: 9, map: 12, struct: 13 };

// What each tag's payload measures; -1 for those that carry their length.
const WIDTHS = [0, 0, 0, 1, 2, 4, 8, 4, 8, -1, -1, -1, -1, -1, -1, 4, 4, 8];

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

const u32 = (bytes, at) => (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;

function setU32(bytes, at, number) {
  bytes[at] = number;
  bytes[at + 1] = number >>> 8;
  bytes[at + 2] = number >>> 16;
  bytes[at + 3] = number >>> 24;
}

// An encoded value in place: the bytes from `start` to `end`.
export class Value {
  constructor(bytes, start, end) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  get tag() {
    return this.bytes[this.start];
  }

  // The text of a string, or undefined for another type. Decoding costs: see `utf8` for a way around it.
  get text() {
    return this.tag === Tag.string ? decodeText(this.bytes, this.start + 5, this.end) : undefined;
  }
}

// An encoded string of `length` bytes of UTF-8, which are yet to be written from 5 on.
export function utf8(length) {
  const bytes = new Uint8Array(5 + length);
  bytes[0] = Tag.string;
  setU32(bytes, 1, length);
  return bytes;
}

// Text of UTF-8 bytes. Short ASCII is decoded here: the engine's decoder costs more than it.
function decodeText(bytes, start, end) {
  if (end - start > 64) return decoder.decode(bytes.subarray(start, end));
  let text = '';
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte > 127) return decoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
}

// An encoded string.
export function encodeText(text) {
  const encoded = encoder.encode(text);
  const bytes = utf8(encoded.length);
  bytes.set(encoded, 5);
  return bytes;
}

// Which of `names`, encoded too, the encoded string from `start` to `end` is; -1 for none.
function indexOfName(bytes, start, end, names) {
  for (let index = 0; index < names.length; index++) {
    const name = names[index];
    let at = end - start === name.length ? name.length : -1;
    while (at > 0 && bytes[start + at - 1] === name[at - 1]) at--;
    if (at === 0) return index;
  }
  return -1;
}

// A map or struct with fields replaced: `replace(field, index)` gets each field whose name is one of `names` (from encodeText) and
// answers with its new encoded value, or undefined. Returns the same value when nothing changed.
export function replaceFields(value, fieldNames, names, replace) {
  const { bytes, end } = value;
  const isMap = value.tag === Tag.map;
  let parts;
  let copied = value.start;
  let at = value.start + 9;
  for (let index = 0; at < end; index++) {
    let wanted = -1;
    if (isMap) {
      const start = at;
      at += 5 + u32(bytes, at + 1);
      wanted = indexOfName(bytes, start, at, names);
    } else {
      wanted = indexOfName(fieldNames[index], 0, fieldNames[index].length, names);
    }
    const start = at;
    const width = WIDTHS[bytes[at]];
    at += width < 0 ? 5 + u32(bytes, at + 1) : 1 + width;
    if (wanted < 0) continue;
    const changed = replace(new Value(bytes, start, at), wanted);
    if (changed === undefined) continue;
    parts ??= [];
    parts.push(bytes.subarray(copied, start), changed);
    copied = at;
  }
  if (parts === undefined) return value;
  parts.push(bytes.subarray(copied, end));
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let to = 0;
  for (const part of parts) {
    joined.set(part, to);
    to += part.length;
  }
  setU32(joined, 1, length - 5);
  return new Value(joined, 0, length);
}

// Calls `change(value, fieldNames)` for each record of a batch and answers with the delta. `value` is undefined for a tombstone;
// `fieldNames()` gives the encoded names of a struct's fields. The value may come back as it was or changed; an exception's message
// becomes the reason why the record failed, its `stage` the stage that refused it.
export function mapValues(batch, change) {
  const number = (at) => u32(batch, at);
  const [topics, schemas, rows, heapSize] = [number(4), number(8), number(12), number(16)];
  let at = 32 + rows * ROW;
  for (let i = 0; i < topics; i++) at += 4 + number(at);
  const schemaBytes = [];
  for (let i = 0; i < schemas; i++) {
    schemaBytes.push(batch.subarray(at + 4, at + 4 + number(at)));
    at += 4 + number(at);
  }
  const heap = batch.length - heapSize;
  const names = [];
  let schema = 0;
  const fieldNames = () => (names[schema] ??= schema === 0 ? [] : fieldNamesOf(schemaBytes[schema - 1]));

  const delta = new Delta(rows);
  for (let row = 0; row < rows; row++) {
    const base = 32 + row * ROW;
    const start = number(base + 32);
    schema = number(base + 52);
    const value = start === NONE ? undefined : new Value(batch, heap + start, heap + start + number(base + 36));
    try {
      const changed = change(value, fieldNames);
      if (changed === value) delta.keep();
      else delta.changeValue(changed, schema);
    } catch (error) {
      delta.fail(error.stage ?? 0, error.message);
    }
  }
  return delta.finish();
}

// Encoded names of the fields of an encoded struct schema.
function fieldNamesOf(bytes) {
  const names = [];
  readSchema(0, names);
  return names;

  function skipText(at) {
    return at + 4 + u32(bytes, at);
  }

  function readSchema(at, into) {
    const [type, flags] = [bytes[at], bytes[at + 1]];
    at += 2;
    if (flags & 2) at = skipText(at); // name
    if (flags & 4) at += 4; // version
    if (flags & 8) at = skipText(at); // documentation
    if (flags & 16) {
      const count = u32(bytes, at);
      at += 4;
      for (let i = 0; i < count * 2; i++) at = skipText(at);
    }
    if (flags & 32) at = skipText(at); // default
    if (type === 11) {
      const count = u32(bytes, at);
      at += 4;
      for (let i = 0; i < count; i++) {
        const end = skipText(at);
        into?.push(encodeText(decodeText(bytes, at + 4, end)));
        at = readSchema(end);
      }
    }
    if (flags & 64) at = readSchema(at); // keys of a map
    if (flags & 128) at = readSchema(at); // values of a map, elements of an array
    return at;
  }
}

class Delta {
  constructor(inputs) {
    this.verdicts = new Uint8Array(inputs);
    this.next = 0;
    this.changes = [];
    this.failures = [];
    this.parts = [];
    this.heapSize = 0;
  }

  keep() {
    this.verdicts[this.next++] = KEEP;
  }

  changeValue({ bytes, start, end }, schema) {
    const whole = start === 0 && end === bytes.length;
    this.changes.push(this.next, this.heapSize, end - start, schema);
    this.store(whole ? bytes : bytes.subarray(start, end));
    this.verdicts[this.next++] = CHANGE;
  }

  fail(stage, reason) {
    const utf8 = encoder.encode(reason);
    this.failures.push(this.next, stage, this.heapSize, utf8.length);
    this.store(utf8);
    this.verdicts[this.next++] = FAIL;
  }

  store(bytes) {
    this.parts.push(bytes);
    this.heapSize += bytes.length;
  }

  finish() {
    const { changes, failures, parts, heapSize } = this;
    const allKept = changes.length === 0 && failures.length === 0;
    const verdicts = allKept ? 0 : this.verdicts.length;
    const bytes = new Uint8Array(32 + verdicts + (changes.length / 4) * (8 + ROW) + failures.length * 4 + heapSize);
    const header = [this.next, 0, 0, changes.length / 4, failures.length / 4, heapSize, allKept ? ALL_KEPT : 0];
    bytes.set(encoder.encode('MRD1'));
    header.forEach((value, index) => setU32(bytes, 4 + index * 4, value));
    if (!allKept) bytes.set(this.verdicts, 32);
    let at = 32 + verdicts;
    for (let i = 0; i < changes.length; i += 4) {
      setU32(bytes, at, changes[i]);
      setU32(bytes, at + 4, VALUE_CHANGED);
      setU32(bytes, at + 8 + 32, changes[i + 1]);
      setU32(bytes, at + 8 + 36, changes[i + 2]);
      setU32(bytes, at + 8 + 52, changes[i + 3]);
      at += 8 + ROW;
    }
    for (const value of failures) {
      setU32(bytes, at, value);
      at += 4;
    }
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
