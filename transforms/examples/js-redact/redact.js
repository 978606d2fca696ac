// Hides all but the last characters of text fields: {"card": "4111111111111111"} becomes {"card": "************1111"}.

import { Tag, mapFields, mapValues, tagOf, text, textOf } from './millrace.js';

const CLASS = 'com.example.Redact';

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
    return { fields: new Set(fields), keep: Number(config.get('keep') ?? '4') };
  });
  return { key: false, value: true, headers: false };
}

function redact(value, fieldNames, { fields, keep }) {
  if (tagOf(value) === Tag.null) return value;
  if (tagOf(value) !== Tag.map && tagOf(value) !== Tag.struct) throw new Error('the value has no fields');
  return mapFields(value, fieldNames, (name, field) => {
    if (!fields.has(name) || tagOf(field) === Tag.null) return undefined;
    const clear = textOf(field);
    if (clear === undefined) throw new Error(`field ${name} is not text`);
    const characters = [...clear];
    const hidden = Math.max(0, characters.length - keep);
    return text('*'.repeat(hidden) + characters.slice(hidden).join(''));
  });
}

function apply(batch) {
  return mapValues(batch, (record) =>
    stages.reduce((value, stage, index) => {
      try {
        return redact(value, tagOf(value) === Tag.struct ? record.fieldNames : [], stage);
      } catch (error) {
        error.stage = index;
        throw error;
      }
    }, record.value),
  );
}

export const transformations = { describe, configure, apply };
