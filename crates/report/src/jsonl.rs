//! `metrics.jsonl`: what happened in a run, one JSON object per line, append-only.
//!
//! Every record goes to the system in one write before [`Writer::write`] returns, so the file is
//! complete after a kill. A machine that dies in the middle of a write leaves a torn last line: the
//! reader passes over it, and [`Writer::resume`] cuts it off. Steps never fall within a file, since
//! resuming at a step cuts off whatever was written after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{ReportError, io};

/// Name of the file within a run folder.
pub const FILE_NAME: &str = "metrics.jsonl";

/// One line of `metrics.jsonl`, told apart by its `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// Progress of training: `{"type":"train","step":20,"epoch":1,"loss":1.9,...}`.
    Train(Train),
    /// A measurement on a split: `{"type":"eval","split":"validation","step":40,...}`.
    Eval(Eval),
    /// Something worth telling: `{"type":"event","message":"stopped by SIGINT"}`.
    Event(Message),
    /// A kind of line that this version does not know; it is passed over.
    #[serde(other)]
    Unknown,
}

/// Progress of training over the steps since the last such record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// Optimizer steps done since the run began.
    pub step: u64,
    /// The epoch that the step belongs to, counting from 1.
    pub epoch: u64,
    /// Mean loss over those steps; `null` in the file where it is not finite.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Learning rate of the step.
    #[serde(with = "crate::number")]
    pub learning_rate: f64,
    /// Images trained on per second of wall time.
    #[serde(with = "crate::number")]
    pub images_per_second: f64,
    /// Seconds of training since the run began, sessions before a resume included.
    #[serde(with = "crate::number")]
    pub time: f64,
    /// The parts a loss is made of (`classification`, `box`, ...) or the losses of several networks
    /// (`generator`, `discriminator`); left out where there is just one.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "crate::number::map"
    )]
    pub losses: BTreeMap<String, f64>,
}

/// Metrics of the model at a step, measured on a whole split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// `validation`, `train` or `test`.
    pub split: String,
    /// Optimizer steps done since the run began.
    pub step: u64,
    /// The epoch that the step belongs to, counting from 1.
    pub epoch: u64,
    /// Whether the averaged (EMA) weights were measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ema: bool,
    /// Numbers by name: `loss`, `top1`, `miou`, `ap50`, ...
    #[serde(with = "crate::number::map")]
    pub metrics: BTreeMap<String, f64>,
}

/// A message with, where it has one, its place in the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// What kind of message it is.
    #[serde(default, skip_serializing_if = "MessageKind::is_note")]
    pub kind: MessageKind,
    /// One sentence for a person.
    pub message: String,
    /// Optimizer steps done when it happened; a message without one belongs to a session rather than to the course
    /// of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Seconds of training since the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
}

/// What kind of message an [`Message`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// Likely wrong, but not fatal.
    Warning,
    /// A sample that could not be read and was left out.
    Skipped,
    /// Worth knowing; also how a kind that this version does not know is read.
    #[default]
    #[serde(other)]
    Note,
}

impl MessageKind {
    fn is_note(&self) -> bool {
        *self == MessageKind::Note
    }
}

impl Record {
    /// The step a record belongs to; `None` for a message without one.
    pub fn step(&self) -> Option<u64> {
        match self {
            Record::Train(train) => Some(train.step),
            Record::Eval(eval) => Some(eval.step),
            Record::Event(event) => event.step,
            Record::Unknown => None,
        }
    }

    /// What a record says, for telling a repeated one: its kind and split, or its words.
    fn key(&self) -> Option<(u64, String)> {
        match self {
            Record::Train(train) => Some((train.step, "train".into())),
            Record::Eval(eval) => Some((
                eval.step,
                format!("eval {} {}", eval.split, if eval.ema { "ema" } else { "" }),
            )),
            Record::Event(event) => Some((event.step?, format!("event {}", event.message))),
            Record::Unknown => None,
        }
    }
}

/// Appends records to `metrics.jsonl`.
///
/// ```
/// use firesight_report::jsonl::{self, Record, Train, Writer};
///
/// let folder = tempfile::tempdir()?;
/// let mut writer = Writer::create(folder.path())?;
/// writer.write(&Record::Train(Train { step: 1, epoch: 1, loss: 2.3, ..Train::default() }))?;
/// assert_eq!(jsonl::read(folder.path())?.records.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    /// What a resumed file already holds at the step it was resumed at.
    kept: BTreeSet<(u64, String)>,
}

impl Writer {
    /// Starts the file of a new run in the folder `run`.
    ///
    /// # Errors
    /// [`ReportError::Io`] where the file exists already or cannot be made.
    pub fn create(run: &Path) -> Result<Self, ReportError> {
        let path = run.join(FILE_NAME);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(io("create", &path))?;
        Ok(Self {
            file,
            path,
            kept: BTreeSet::new(),
        })
    }

    /// Opens the file of the run folder `run` to go on after `step`: everything from the first
    /// record of a later step on is cut off, and so is a torn last line. The file is made where it
    /// is missing.
    ///
    /// What the file holds of `step` itself stays, and writing the same measurement or message of that
    /// step once more is passed over; so the file comes out the same whether the checkpoint was saved
    /// before or after the evaluation of its step.
    ///
    /// # Errors
    /// [`ReportError::Io`] where the file cannot be read or shortened.
    pub fn resume(run: &Path, step: u64) -> Result<Self, ReportError> {
        let path = run.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open", &path))?;
        let bytes = std::fs::read(&path).map_err(io("read", &path))?;
        let mut kept = BTreeSet::new();
        let mut length = 0;
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            let record = serde_json::from_slice::<Record>(line).ok();
            let later = record
                .as_ref()
                .and_then(Record::step)
                .is_some_and(|s| s > step);
            if later || line.last() != Some(&b'\n') {
                break;
            }
            length += line.len() as u64;
            kept.extend(
                record
                    .as_ref()
                    .and_then(Record::key)
                    .filter(|(s, _)| *s == step),
            );
        }
        file.set_len(length).map_err(io("shorten", &path))?;
        file.seek(SeekFrom::Start(length))
            .map_err(io("write", &path))?;
        Ok(Self { file, path, kept })
    }

    /// Appends one record as one line, handed to the system before this returns.
    ///
    /// # Errors
    /// [`ReportError::Io`], for example where the disk is full.
    pub fn write(&mut self, record: &Record) -> Result<(), ReportError> {
        if record.key().is_some_and(|key| self.kept.contains(&key)) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(record).map_err(|source| ReportError::Json {
            path: self.path.clone(),
            source,
        })?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(io("write", &self.path))
    }

    /// Appends a message without a place in the run.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn event(&mut self, message: impl Into<String>) -> Result<(), ReportError> {
        self.write(&Record::Event(Message {
            message: message.into(),
            ..Message::default()
        }))
    }
}

/// What `metrics.jsonl` holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// The records in the order of the file; lines of an unknown kind are left out.
    pub records: Vec<Record>,
    /// Whether the last line was torn (no line end, and no whole record).
    pub torn: bool,
    /// Numbers, from 1, of other lines that are no record.
    pub unreadable: Vec<usize>,
}

impl Log {
    /// The training records.
    pub fn train(&self) -> impl Iterator<Item = &Train> {
        self.records.iter().filter_map(|record| match record {
            Record::Train(train) => Some(train),
            _ => None,
        })
    }

    /// The evaluations.
    pub fn evals(&self) -> impl Iterator<Item = &Eval> {
        self.records.iter().filter_map(|record| match record {
            Record::Eval(eval) => Some(eval),
            _ => None,
        })
    }

    /// The messages.
    pub fn events(&self) -> impl Iterator<Item = &Message> {
        self.records.iter().filter_map(|record| match record {
            Record::Event(event) => Some(event),
            _ => None,
        })
    }
}

/// Reads `metrics.jsonl` of the run folder `run`; a missing file is an empty log.
///
/// # Errors
/// [`ReportError::Io`] where the file is there but cannot be read.
pub fn read(run: &Path) -> Result<Log, ReportError> {
    let path = run.join(FILE_NAME);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Log::default()),
        result => result.map_err(io("read", &path))?,
    };
    let mut log = Log::default();
    for (index, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(Record::Unknown) => {}
            Ok(record) => log.records.push(record),
            Err(_) if line.last() != Some(&b'\n') => log.torn = true,
            Err(_) => log.unreadable.push(index + 1),
        }
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(step: u64) -> Record {
        Record::Train(Train {
            step,
            epoch: 1 + step / 4,
            loss: 1.0 / step as f64,
            ..Train::default()
        })
    }

    fn eval(step: u64) -> Record {
        let metrics = BTreeMap::from([("top1".to_string(), 0.1 * step as f64)]);
        Record::Eval(Eval {
            split: "validation".into(),
            step,
            epoch: 1,
            ema: false,
            metrics,
        })
    }

    fn text(run: &Path) -> String {
        std::fs::read_to_string(run.join(FILE_NAME)).unwrap()
    }

    #[test]
    fn lines_have_the_documented_form() {
        let run = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(run.path()).unwrap();
        let record = Train {
            step: 20,
            epoch: 1,
            loss: f64::NAN,
            learning_rate: 0.05,
            images_per_second: 640.0,
            time: 2.5,
            losses: BTreeMap::new(),
        };
        writer.write(&Record::Train(record)).unwrap();
        writer.write(&eval(20)).unwrap();
        writer.event("stopped \"early\"\nby hand").unwrap();
        assert_eq!(
            text(run.path()),
            concat!(
                r#"{"type":"train","step":20,"epoch":1,"loss":null,"learning_rate":0.05,"images_per_second":640.0,"time":2.5}"#,
                "\n",
                r#"{"type":"eval","split":"validation","step":20,"epoch":1,"metrics":{"top1":2.0}}"#,
                "\n",
                r#"{"type":"event","message":"stopped \"early\"\nby hand"}"#,
                "\n"
            )
        );
        let log = read(run.path()).unwrap();
        assert!(log.train().next().unwrap().loss.is_nan());
        assert_eq!(log.evals().count(), 1);
        assert_eq!(
            log.events().next().unwrap().message,
            "stopped \"early\"\nby hand"
        );
        assert!(
            Writer::create(run.path()).is_err(),
            "a run is never overwritten"
        );
    }

    #[test]
    fn a_resumed_file_equals_an_unstopped_one() {
        let whole = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(whole.path()).unwrap();
        for step in 1..=8 {
            writer.write(&train(step)).unwrap();
            if step % 4 == 0 {
                writer.write(&eval(step)).unwrap();
            }
        }
        let expected = text(whole.path());

        // Killed in the middle of any write, then resumed from the checkpoint of step 4 (or, where
        // the kill came before it, of step 0); the trainer evaluates step 4 again either way.
        for cut in (0..=expected.len()).step_by(3) {
            let run = tempfile::tempdir().unwrap();
            std::fs::write(run.path().join(FILE_NAME), &expected.as_bytes()[..cut]).unwrap();
            let from = if expected[..cut].matches('\n').count() >= 4 {
                4
            } else {
                0
            };
            let mut writer = Writer::resume(run.path(), from).unwrap();
            if from == 4 {
                writer.write(&eval(4)).unwrap();
            }
            for step in from + 1..=8 {
                writer.write(&train(step)).unwrap();
                if step % 4 == 0 {
                    writer.write(&eval(step)).unwrap();
                }
            }
            assert_eq!(text(run.path()), expected, "cut at byte {cut}");
        }
    }

    #[test]
    fn the_reader_tolerates_torn_damaged_and_unknown_lines() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read(run.path()).unwrap(), Log::default());
        let good = serde_json::to_string(&train(1)).unwrap();
        let file = format!(
            "{good}\nnonsense\n\n{{\"type\":\"later\",\"x\":1}}\n{good}\n{}",
            &good[..30]
        );
        std::fs::write(run.path().join(FILE_NAME), file).unwrap();
        let log = read(run.path()).unwrap();
        assert_eq!(
            (log.records.len(), log.torn, log.unreadable),
            (2, true, vec![2])
        );
    }
}
