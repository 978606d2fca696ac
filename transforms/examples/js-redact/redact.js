// Hides all but the last characters of text fields: {"card": "4111111111111111"} becomes {"card": "************1111"}.

import { Tag, encodeText, mapValues, replaceFields, utf8 } from './millrace.js';

const CLASS = 'com.example.Redact';
const ASTERISK = 42;

const key = (name, configType, defaultValue, valid, importance, doc) => ({
  name,
  configType,
  defaultValue,
  valid,
  importance,
  doc,
  group: undefined,
  order: -1,
  width: 'none',
  displayName: name,
  dependents: [],
  recommended: [],
});

let stages = [];

function describe() {
  const fields = key('fields', 'comma-list', { tag: 'required' }, { tag: 'non-empty' }, 'high', 'Fields of the value to redact.');
  const keep = key(
    'keep',
    'int',
    { tag: 'value', val: '4' },
    { tag: 'at-least', val: 0n },
    'medium',
    'How many characters stay readable at the end.',
  );
  return [{ class: CLASS, kind: 'transformation', version: '1.0.0', keys: [fields, keep] }];
}

function configure(given) {
  stages = given.map((stage, index) => {
    if (stage.class !== CLASS) throw { stage: index, key: undefined, message: `Class ${stage.class} could not be found.` };
    const config = new Map(stage.config);
    const fields = (config.get('fields') ?? '').split(',').map((field) => field.trim());
    return { fields, names: fields.map(encodeText), keep: Number(config.get('keep') ?? '4') };
  });
  return { key: false, value: true, headers: false };
}

function redact(value, fieldNames, { names, fields, keep }) {
  if (value === undefined || value.tag === Tag.null) return value;
  if (value.tag !== Tag.map && value.tag !== Tag.struct) throw new Error('the value has no fields');
  return replaceFields(value, value.tag === Tag.struct ? fieldNames() : [], names, (field, index) => {
    if (field.tag === Tag.null) return undefined;
    if (field.tag !== Tag.string) throw new Error(`field ${fields[index]} is not text`);
    return hide(field, keep);
  });
}

// The string with all but its last `keep` characters as asterisks, without decoding it: in UTF-8 every byte of a character but the
// first is 10xxxxxx.
function hide({ bytes, start, end }, keep) {
  const first = start + 5;
  let tail = end;
  for (; keep > 0 && tail > first; keep--) {
    do tail--;
    while ((bytes[tail] & 0xc0) === 0x80);
  }
  let hidden = 0;
  for (let at = first; at < tail; at++) {
    if ((bytes[at] & 0xc0) !== 0x80) hidden++;
  }
  const changed = utf8(hidden + end - tail);
  changed.fill(ASTERISK, 5, 5 + hidden);
  changed.set(bytes.subarray(tail, end), 5 + hidden);
  return changed;
}

function apply(batch) {
  return mapValues(batch, (value, fieldNames) => {
    for (let index = 0; index < stages.length; index++) {
      try {
        value = redact(value, fieldNames, stages[index]);
      } catch (error) {
        error.stage = index;
        throw error;
      }
    }
    return value;
  });
}

export const transformations = { describe, configure, apply };
