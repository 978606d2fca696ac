//! A chain of stages inside one guest. A record passes all stages before the next one starts; what a stage writes stays in the
//! stage's own buffer, where later stages read it, so nothing is encoded again between stages. Only what is left of a record at
//! the end is written to the delta. Stages that edit single fields of a map go further: it is taken apart for the first of them
//! ([`crate::Fields`]), and put together when somebody wants all of it.

use millrace_api::batch::delta::{DeltaWriter, mask};
use millrace_api::batch::wire::{self, Needs, Trust};
use millrace_api::batch::{RecordBatch, Row, Slice};
use millrace_api::config::Props;
use millrace_api::value::same;
use millrace_api::{Error, Result, SchemaRef};

use crate::fields::{Taken, is_map};
use crate::output::{Output, Work, range, slice};
use crate::place::{BITS, Current, HEADERS, KEY, Place, TOPIC, VALUE, number};
use crate::plugin::{Make, Plugin, Stage, Test, Verdict, unknown};
use crate::record::{Part, Record};
use crate::schemas::Canonical;

/// One stage to be configured.
#[derive(Debug, Clone, Default)]
pub struct StageConfig {
    /// Class of a transformation; or of a predicate: such a stage drops what does not match.
    pub class: String,
    /// Its keys.
    pub config: Props,
    /// The stage applies to records that match.
    pub predicate: Option<(String, Props)>,
    /// The stage applies to records that do not match.
    pub negate: bool,
}

/// A configured chain.
#[derive(Default)]
pub struct Chain {
    stages: Vec<Configured>,
    /// Where each stage writes; the last one writes into the delta's heap.
    buffers: Vec<Vec<u8>>,
    taken: Taken,
    delta: DeltaWriter,
    canonical: Canonical,
}

struct Configured {
    action: Action,
    condition: Option<(Box<dyn Test>, bool)>,
    /// The part that it edits, where that is a map.
    edits: Option<Part>,
    /// How many stages from this one on edit that part one after the other, the others unconditionally.
    together: usize,
    /// What the condition reads, and the stage unless it edits.
    reads: Needs,
    work: Work,
}

enum Action {
    Transform(Box<dyn Stage>),
    Filter(Box<dyn Test>),
}

impl Chain {
    /// Configures a chain out of the plugins of a component.
    ///
    /// # Errors
    /// Index of the stage, and what is wrong with it.
    pub fn configure(plugins: &[Plugin], stages: &[StageConfig]) -> Result<Self, (usize, Error)> {
        let configured = stages
            .iter()
            .enumerate()
            .map(|(index, stage)| Configured::new(plugins, stage).map_err(|error| (index, error)));
        let mut stages = configured.collect::<Result<Vec<_>, _>>()?;
        let mut after: Option<(Part, usize)> = None;
        for stage in stages.iter_mut().rev() {
            stage.together = after.filter(|(part, _)| stage.edits == Some(*part)).map_or(1, |(_, count)| count + 1);
            after = stage.edits.filter(|_| stage.condition.is_none()).map(|part| (part, stage.together));
        }
        let buffers = vec![Vec::new(); stages.len()];
        Ok(Self {
            stages,
            buffers,
            taken: Taken::default(),
            delta: DeltaWriter::default(),
            canonical: Canonical::default(),
        })
    }

    /// Which parts of a record any of the stages reads.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::NOTHING;
        let tests = self.stages.iter().filter_map(|stage| stage.condition.as_ref()).map(|(test, _)| test.needs());
        let actions = self.stages.iter().map(|stage| match &stage.action {
            Action::Transform(transform) => transform.needs(),
            Action::Filter(test) => test.needs(),
        });
        for more in tests.chain(actions) {
            needs.key |= more.key;
            needs.value |= more.value;
            needs.headers |= more.headers;
        }
        needs
    }

    /// Takes a batch in wire form through the chain and answers with a delta.
    ///
    /// # Errors
    /// When the bytes are no batch: the host is broken.
    pub fn apply(&mut self, batch: Vec<u8>) -> Result<Vec<u8>> {
        let batch = wire::decode(batch, Trust::Host)?;
        self.delta.restart(&batch);
        let mut dictionary = batch.schemas().to_vec();
        self.canonical.replace(&mut dictionary);
        let base = dictionary.len();
        for stage in &mut self.stages {
            stage.work.forget_schemas();
        }
        let mut run = Run {
            batch: &batch,
            stages: &mut self.stages,
            buffers: &mut self.buffers,
            taken: &mut self.taken,
            dictionary,
            delta: &mut self.delta,
            routed: None,
            done: Vec::new(),
        };
        run.lend_heap();
        for row in batch.rows() {
            run.record(row);
        }
        run.lend_heap();
        for schema in run.dictionary.split_off(base) {
            self.delta.schema(&schema);
        }
        Ok(self.delta.finish())
    }
}

impl Configured {
    fn new(plugins: &[Plugin], stage: &StageConfig) -> Result<Self> {
        let find = |class: &str| plugins.iter().find(|plugin| plugin.class == class).ok_or_else(|| unknown(class));
        let action = match find(&stage.class)?.make {
            Make::Transform(make) => Action::Transform(make(&stage.config)?),
            Make::Predicate(make) => Action::Filter(make(&stage.config)?),
        };
        let condition = stage.predicate.as_ref().map(|(class, config)| match find(class)?.make {
            Make::Predicate(make) => Ok((make(config)?, stage.negate)),
            Make::Transform(_) => Err(Error::config(format!("{class} is a transformation, not a predicate"))),
        });
        let condition = condition.transpose()?;
        let mut reads = condition.as_ref().map_or(Needs::NOTHING, |(test, _)| test.needs());
        let (edits, more) = match &action {
            Action::Transform(transform) => (transform.edits(), transform.needs()),
            Action::Filter(test) => (None, test.needs()),
        };
        if edits.is_none() {
            (reads.key, reads.value) = (reads.key | more.key, reads.value | more.value);
        }
        Ok(Self { action, condition, edits, together: 1, reads, work: Work::default() })
    }

    fn reads(&self, part: Part) -> bool {
        match part {
            Part::Key => self.reads.key,
            Part::Value => self.reads.value,
        }
    }
}

/// One batch on its way through the stages. Its steps are functions of their own: in one large function the compiler of the sandbox
/// keeps most variables in memory.
struct Run<'r> {
    batch: &'r RecordBatch,
    stages: &'r mut [Configured],
    buffers: &'r mut [Vec<u8>],
    taken: &'r mut Taken,
    dictionary: Vec<SchemaRef>,
    delta: &'r mut DeltaWriter,
    /// Name and number of the topic that a stage routed to last.
    routed: Option<(Vec<u8>, u32)>,
    /// What became of the input: its rows, with masks.
    done: Vec<(u32, Row)>,
}

impl Run<'_> {
    fn record(&mut self, row: &Row) {
        self.done.clear();
        let start = self.buffers.last().map_or(0, Vec::len);
        match self.flow(0, &mut Current::new(row)) {
            Ok(()) => match &self.done[..] {
                [(0, _)] => self.delta.keep(),
                rows => self.delta.change(rows),
            },
            Err((stage, error)) => {
                self.lend_heap();
                self.delta.heap().truncate(start);
                self.delta.fail(u32::try_from(stage).unwrap_or(0), &error.reason());
                self.lend_heap();
            }
        }
    }

    /// Lends the delta's heap to the last stage as its buffer, and takes it back.
    fn lend_heap(&mut self) {
        if let Some(last) = self.buffers.last_mut() {
            std::mem::swap(last, self.delta.heap());
        }
    }

    /// Takes a record through the stages from `from` on.
    fn flow(&mut self, from: usize, current: &mut Current) -> Result<(), (usize, Error)> {
        let mut index = from;
        while index < self.stages.len() {
            if let Some(part) = self.prepare(index, current) {
                index = self.edit(index, part, current)?;
                continue;
            }
            match self.stage(index, current).map_err(|error| (index, error))? {
                Step::On => index += 1,
                Step::Gone => return Ok(()),
                Step::Split => {
                    // What one part edits, the next would see.
                    self.close(current);
                    return self.split(index, current);
                }
            }
        }
        self.finish(current);
        Ok(())
    }

    /// Takes the records that the stage numbered `index` made of one through the stages after it.
    fn split(&mut self, index: usize, parent: &Current) -> Result<(), (usize, Error)> {
        let take = |stage: &mut Configured| std::mem::take(&mut stage.work.emitted);
        let emitted = self.stages.get_mut(index).map(take).unwrap_or_default();
        for pending in &emitted {
            let mut child = *parent;
            child.change(index, pending);
            self.flow(index + 1, &mut child)?;
        }
        if let Some(stage) = self.stages.get_mut(index) {
            stage.work.emitted = emitted;
        }
        Ok(())
    }

    /// Puts together what a stage reads as a whole. Answers with the part of which it can edit the fields.
    fn prepare(&mut self, index: usize, current: &mut Current) -> Option<Part> {
        let stage = self.stages.get(index)?;
        let is_open = |part: Part| current.open.is_some_and(|(open, _)| open == part);
        let edits = stage.edits.filter(|part| is_open(*part) || self.is_map(*part, current));
        if let Some((open, _)) = current.open
            && (stage.reads(open) || edits.is_some_and(|part| part != open))
        {
            self.close(current);
        }
        edits
    }

    fn is_map(&self, part: Part, current: &Current) -> bool {
        let (index, at) = current.at(part);
        current.schema(part) == 0 && current.part(index, at, self.batch, self.buffers).is_some_and(is_map)
    }

    /// Has the stage numbered `from`, and those after it that can go on at once, edit fields of a part, which is taken apart unless
    /// it is already. Answers with the number of the next stage.
    #[inline(never)]
    fn edit(&mut self, from: usize, part: Part, current: &mut Current) -> Result<usize, (usize, Error)> {
        let Some(first) = self.stages.get_mut(from) else { return Ok(from + 1) };
        if let Some((test, negate)) = &mut first.condition {
            let record = view(current, self.batch, self.buffers, &self.dictionary);
            if test.test(&record).map_err(|error| (from, error))? == *negate {
                return Ok(from + 1);
            }
        }
        let next = from + first.together;
        let (at, slice) = current.at(part);
        let heap = current.heap(at, self.batch, self.buffers);
        if current.open.is_none() {
            self.taken.open(heap, slice);
        }
        current.open = Some((part, number(next - 1)));
        let record = view(current, self.batch, self.buffers, &self.dictionary);
        let mut fields = self.taken.fields(heap);
        for (index, stage) in (from..next).zip(self.stages.iter_mut().skip(from)) {
            if let Action::Transform(transform) = &mut stage.action {
                transform.edit(&record, &mut fields).map_err(|error| (index, error))?;
            }
        }
        Ok(next)
    }

    /// Puts the part together that was taken apart, in the buffer of the stage that edited it last: an editing stage writes
    /// nothing else there.
    fn close(&mut self, current: &mut Current) {
        let Some((part, stage)) = current.open.take() else { return };
        if !self.taken.changed {
            return;
        }
        let (before, rest) = self.buffers.split_at_mut(usize::from(stage));
        let Some(buffer) = rest.first_mut() else { return };
        let (at, _) = current.at(part);
        buffer.clear();
        self.taken.close(current.heap(at, self.batch, before), buffer);
        current.replace(part, stage, slice(0, buffer.len()));
    }

    #[inline(never)]
    fn stage(&mut self, index: usize, current: &mut Current) -> Result<Step> {
        let last = index + 1 == self.stages.len();
        let (before, rest) = self.buffers.split_at_mut(index);
        let (Some(stage), Some(heap)) = (self.stages.get_mut(index), rest.first_mut()) else {
            return Ok(Step::On);
        };
        let record = view(current, self.batch, before, &self.dictionary);
        if let Some((test, negate)) = &mut stage.condition
            && test.test(&record)? == *negate
        {
            return Ok(Step::On);
        }
        let transform = match &mut stage.action {
            Action::Filter(test) => {
                return Ok(if test.test(&record)? { Step::On } else { Step::Gone });
            }
            Action::Transform(transform) => transform,
        };
        if !last {
            heap.clear();
        }
        let mut output = Output::new(record, heap, &mut stage.work);
        let verdict = transform.apply(&record, &mut output).and_then(|verdict| {
            if verdict == Verdict::Keep {
                output.finish_edits()?;
            }
            Ok(verdict)
        });
        let pending = output.pending;
        if verdict.is_err() {
            stage.work.forget_schemas();
        }
        let verdict = verdict?;
        if !stage.work.fresh.is_empty() {
            self.dictionary.append(&mut stage.work.fresh);
        }
        Ok(match verdict {
            Verdict::Keep => {
                current.change(index, &pending);
                Step::On
            }
            Verdict::Drop => Step::Gone,
            Verdict::Emit => Step::Split,
        })
    }

    /// Writes what is left of a record to the delta: parts that the last stage wrote lie there already.
    #[inline(never)]
    fn finish(&mut self, current: &mut Current) {
        let Some((heap, before)) = self.buffers.split_last_mut() else {
            self.done.push((0, current.row));
            return;
        };
        if let Some((part, _)) = current.open.take()
            && self.taken.changed
        {
            let (at, _) = current.at(part);
            let start = heap.len();
            self.taken.close(current.heap(at, self.batch, before), heap);
            current.replace(part, number(before.len()), slice(start, heap.len()));
        }
        let mut row = current.row;
        let mut place = |part: usize, at: Slice| {
            if current.mask & BITS[part] == 0 || usize::from(current.writers[part]) == before.len() {
                return at;
            }
            let written = range(at).and_then(|range| before.get(usize::from(current.writers[part]))?.get(range));
            let Some(written) = written else { return Slice::NULL };
            let start = heap.len();
            heap.extend_from_slice(written);
            slice(start, heap.len())
        };
        row.key = place(KEY, row.key);
        row.value = place(VALUE, row.value);
        row.headers = place(HEADERS, row.headers);
        if current.mask & mask::TOPIC != 0 {
            let name = current.part(TOPIC, current.topic, self.batch, self.buffers).unwrap_or_default();
            // Most records go where the one before went.
            row.topic = match &self.routed {
                Some((known, topic)) if same(known, name) => *topic,
                _ => {
                    let topic = self.delta.topic(self.batch, std::str::from_utf8(name).unwrap_or_default());
                    self.routed = Some((name.to_vec(), topic));
                    topic
                }
            };
        }
        self.done.push((current.mask, row));
    }
}

fn view<'a>(
    current: &'a Current,
    batch: &'a RecordBatch,
    buffers: &'a [Vec<u8>],
    dictionary: &'a [SchemaRef],
) -> Record<'a> {
    Record { row: &current.row, place: Place { batch, changed: Some((current, buffers)) }, dictionary }
}

/// Where a record goes after a stage.
enum Step {
    On,
    Gone,
    Split,
}
