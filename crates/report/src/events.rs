//! TensorBoard event files: scalars, images and text that `tensorboard --logdir runs` shows.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, data, masked CRC-32C of
//! the data), each an `Event` message. The few messages needed are written by hand; field numbers
//! are those of tensorboard's `event.proto`, `summary.proto` and `tensor.proto`.
//!
//! Each session of a run writes a file of its own, so nothing is ever appended behind a record that
//! a kill has torn. A resumed session opens with a `START` mark, upon which TensorBoard forgets the
//! later steps of the session before.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    crc32c,
    error::{ReportError, io},
    jsonl::Record,
};

/// Writes one event file. Every call hands its record to the system before it returns.
///
/// ```
/// use firesight_report::events::EventWriter;
///
/// let folder = tempfile::tempdir()?;
/// let mut events = EventWriter::create(folder.path())?;
/// events.text("recipe", 0, "seed = 42")?;
/// events.scalar("train/loss", 1, 2.3)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl EventWriter {
    /// Starts an event file of a new run in the folder `run`.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn create(run: &Path) -> Result<Self, ReportError> {
        let host: String = gethostname::gethostname()
            .to_string_lossy()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let stem = format!(
            "events.out.tfevents.{:010}.{host}.{}",
            unix_time() as u64,
            std::process::id()
        );
        // Two files of one process within one second are told apart by a number behind.
        let mut number = 0;
        let (file, path) = loop {
            let name = if number == 0 {
                stem.clone()
            } else {
                format!("{stem}.{number}")
            };
            let path = run.join(name);
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(io("create", &path)(error)),
            }
        };
        let mut writer = Self { file, path };
        writer.event(0, |event| event.bytes(3, b"brain.Event:2"))?;
        Ok(writer)
    }

    /// Starts the event file of a session that goes on after `step`: TensorBoard passes over what
    /// earlier files of the run hold of later steps.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn resume(run: &Path, step: u64) -> Result<Self, ReportError> {
        let mut writer = Self::create(run)?;
        // SessionLog { status: START = 1 }; it discards steps from its own on.
        writer.event(step + 1, |event| event.message(7, |log| log.integer(1, 1)))?;
        Ok(writer)
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number under a tag such as `train/loss`.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), ReportError> {
        self.value(tag, step, |v| v.float(2, value as f32))
    }

    /// The numbers of a record of `metrics.jsonl`: `train/loss`, `train/learning_rate`,
    /// `train/loss/<part>`, `validation/top1`, `validation/top1 (EMA)`, ... A message has none.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        match record {
            Record::Train(train) => {
                self.scalar("train/loss", train.step, train.loss)?;
                for (name, value) in &train.losses {
                    self.scalar(&format!("train/loss/{name}"), train.step, *value)?;
                }
                self.scalar("train/learning_rate", train.step, train.learning_rate)?;
                self.scalar(
                    "train/images_per_second",
                    train.step,
                    train.images_per_second,
                )
            }
            Record::Eval(eval) => {
                let weights = if eval.ema { " (EMA)" } else { "" };
                eval.metrics.iter().try_for_each(|(name, value)| {
                    self.scalar(
                        &format!("{}/{name}{weights}", eval.split),
                        eval.step,
                        *value,
                    )
                })
            }
            Record::Event(_) | Record::Unknown => Ok(()),
        }
    }

    /// A picture, given as the bytes of a PNG file.
    ///
    /// # Errors
    /// [`ReportError::NotPng`] for other bytes; [`ReportError::Io`].
    pub fn image(&mut self, tag: &str, step: u64, png: &[u8]) -> Result<(), ReportError> {
        let Some((width, height, channels)) = png_header(png) else {
            return Err(ReportError::NotPng {
                tag: tag.into(),
                step,
            });
        };
        self.value(tag, step, |v| {
            v.message(4, |image| {
                image.integer(1, height.into());
                image.integer(2, width.into());
                image.integer(3, channels);
                image.bytes(4, png);
            });
        })
    }

    /// A text, shown as it is in a fixed-width face (TensorBoard reads Markdown; the text is
    /// indented so that nothing in it is taken for markup).
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<(), ReportError> {
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        self.value(tag, step, |v| {
            v.message(9, |metadata| {
                metadata.message(1, |plugin| plugin.bytes(1, b"text"))
            });
            v.message(8, |tensor| {
                tensor.integer(1, 7); // dtype: DT_STRING
                tensor.message(2, |shape| shape.message(2, |dim| dim.integer(1, 1)));
                tensor.bytes(8, indented.as_bytes());
            });
        })
    }

    /// One `Summary.Value` in an event of its own.
    fn value(
        &mut self,
        tag: &str,
        step: u64,
        fill: impl FnOnce(&mut Message),
    ) -> Result<(), ReportError> {
        self.event(step, |event| {
            event.message(5, |summary| {
                summary.message(1, |value| {
                    value.bytes(1, tag.as_bytes());
                    fill(value);
                });
            });
        })
    }

    /// One `Event`, framed and written at once.
    fn event(&mut self, step: u64, fill: impl FnOnce(&mut Message)) -> Result<(), ReportError> {
        let mut event = Message::default();
        event.double(1, unix_time());
        event.integer(2, step);
        fill(&mut event);
        self.file
            .write_all(&record(&event.0))
            .map_err(io("write", &self.path))
    }
}

/// Seconds since 1970.
fn unix_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

/// A TFRecord around `data`.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(crc32c::masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(crc32c::masked(data).to_le_bytes());
    record
}

/// Width, height and number of channels from the header of a PNG file.
fn png_header(png: &[u8]) -> Option<(u32, u32, u64)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(..18)?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let channels = match header[17] {
        0 => 1,
        4 => 2,
        2 | 3 => 3,
        6 => 4,
        _ => return None,
    };
    (&header[4..8] == b"IHDR").then_some((number(8)?, number(12)?, channels))
}

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn message(&mut self, field: u64, fill: impl FnOnce(&mut Message)) {
        let mut message = Message::default();
        fill(&mut message);
        self.bytes(field, &message.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonl::{Eval, Train};

    /// An independent look at the framing: walks the file by lengths and checks both checksums.
    fn records(path: &Path) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], crc32c::masked(&rest[..8]).to_le_bytes());
            let data = &rest[12..12 + length];
            assert_eq!(
                rest[12 + length..16 + length],
                crc32c::masked(data).to_le_bytes()
            );
            found.push(data.to_vec());
            rest = &rest[16 + length..];
        }
        found
    }

    #[test]
    fn messages_are_protocol_buffers() {
        // The examples of the protocol buffer encoding guide: 150, "testing", and 150 embedded.
        let mut message = Message::default();
        message.integer(1, 150);
        message.bytes(2, b"testing");
        message.message(3, |m| m.integer(1, 150));
        let expected = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01";
        assert_eq!(message.0, expected);
    }

    #[test]
    fn each_session_has_a_file_of_its_own() {
        let run = tempfile::tempdir().unwrap();
        let mut first = EventWriter::create(run.path()).unwrap();
        first.scalar("loss", 3, 0.5).unwrap();
        let second = EventWriter::resume(run.path(), 2).unwrap();
        assert_ne!(first.path(), second.path());
        assert!(
            first.path() < second.path(),
            "TensorBoard reads the files by name"
        );
        let first = records(first.path());
        assert!(first[0].ends_with(b"brain.Event:2"));
        assert!(first[1].ends_with(&[&b"\x0a\x04loss\x15"[..], &0.5_f32.to_le_bytes()].concat()));
        // step 3, then session_log { status: START }
        assert!(records(second.path())[1].ends_with(b"\x10\x03\x3a\x02\x08\x01"));
    }

    #[test]
    fn a_record_becomes_scalars() {
        let run = tempfile::tempdir().unwrap();
        let mut events = EventWriter::create(run.path()).unwrap();
        let metrics = [("loss".to_string(), 0.5), ("top1".to_string(), 0.75)].into();
        let eval = Eval {
            split: "validation".into(),
            step: 9,
            epoch: 1,
            ema: true,
            metrics,
        };
        events.record(&Record::Eval(eval)).unwrap();
        events
            .record(&Record::Train(Train {
                step: 9,
                loss: 1.0,
                ..Train::default()
            }))
            .unwrap();
        let records = records(events.path());
        assert_eq!(records.len(), 1 + 2 + 3);
        let holds = |record: &[u8], tag: &[u8]| record.windows(tag.len()).any(|w| w == tag);
        assert!(holds(&records[2], b"validation/top1 (EMA)"));
        assert!(holds(&records[3], b"train/loss\x15\0\0\x80\x3f"));
    }

    #[test]
    fn only_png_images_are_taken() {
        let run = tempfile::tempdir().unwrap();
        let mut events = EventWriter::create(run.path()).unwrap();
        assert!(matches!(
            events.image("a", 1, b"GIF89a"),
            Err(ReportError::NotPng { .. })
        ));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
        encoder.set_color(png::ColorType::Rgb);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&[0; 18])
            .unwrap();
        assert_eq!(png_header(&bytes), Some((3, 2, 3)));
        events.image("a", 1, &bytes).unwrap();
    }
}
