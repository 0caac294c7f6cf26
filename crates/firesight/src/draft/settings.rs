//! Settings for so many pictures of that size: what is drawn from the facts, and nothing is tried.

use std::collections::BTreeSet;
use std::path::PathBuf;

use firesight_data::decode::Decoding;
use firesight_data::decode::mask::{Encoding, decode_mask};
use firesight_data::scan::Lesson;
use firesight_data::words::counted;

use super::facts::Facts;

/// How many masks are looked at for the classes.
const MASKS: usize = 300;

/// What masks hold.
pub(super) struct Stored {
    pub classes: Vec<String>,
    pub binary: bool,
    pub said: String,
}

/// What the numbers of masks are, as far as they can be read as numbers.
pub(super) fn masks(paths: &[PathBuf]) -> Option<Stored> {
    let step = paths.len().div_ceil(MASKS).max(1);
    let mut values: BTreeSet<u8> = BTreeSet::new();
    for path in paths.iter().step_by(step) {
        let index = Encoding::Index { void: None };
        if let Ok(mask) = decode_mask(path, &index, &Decoding::default()) {
            values.extend(mask.classes);
        }
    }
    if values.iter().all(|value| matches!(value, 0 | 255)) && values.contains(&255) {
        return Some(Stored {
            classes: ["background", "object"].map(String::from).to_vec(),
            binary: true,
            said: "0 and 255".into(),
        });
    }
    let last = values
        .into_iter()
        .filter(|value| *value < 255)
        .max()?
        .max(1);
    Some(Stored {
        classes: (0..=last).map(|number| format!("class_{number}")).collect(),
        binary: false,
        said: format!("the numbers 0 to {last}"),
    })
}

/// What is chosen for a dataset.
pub(super) struct Settings {
    /// The side of the model's input.
    pub side: usize,
    /// Whether pictures come as they are.
    pub as_they_are: bool,
    pub batch: usize,
    pub batch_why: String,
    pub epochs: usize,
    pub steps: usize,
    /// The side of the smallest anchors.
    pub anchor: usize,
    /// The pictures that are left to train on.
    pub train: usize,
    /// What is held out.
    pub held: f64,
}

impl Settings {
    pub fn of(facts: &Facts) -> Self {
        let [width, height] = facts.middle;
        let (longer, shorter) = (width.max(height), width.min(height));
        let few = facts.train < 1000;
        let to_32 = |side: usize| side.div_ceil(32) * 32;
        let side = match facts.lesson {
            Lesson::Boxes => to_32(longer).clamp(96, if few { 416 } else { 640 }),
            Lesson::Masks => to_32(longer).clamp(32, if few { 256 } else { 512 }),
            _ if shorter <= 64 => shorter.div_ceil(4) * 4,
            _ if few => 128,
            _ => 224,
        };
        let as_they_are = facts.one_size
            && match facts.lesson {
                Lesson::Classes => shorter <= 64,
                _ => width % 32 == 0 && height % 32 == 0 && longer <= side,
            };
        let held = match facts.train {
            _ if facts.validation.is_some() => 0.0,
            0..10 => 0.0,
            10..500 => 0.2,
            _ => 0.1,
        };
        let train = facts.train - (facts.train as f64 * held).round() as usize;
        // Of what a training step keeps of a picture, about, in bytes for each pixel.
        let (kept, usual, wanted) = match facts.lesson {
            Lesson::Masks => (8 << 10, 4, 2000),
            Lesson::Boxes => (4 << 10, 4, 3000),
            _ => (4 << 10, 32, 3000),
        };
        let room = facts.memory / 4 / (side * side * kept) as u64;
        let fits = usize::try_from(room).unwrap_or(usize::MAX).max(1);
        let enough = (train / 8).max(1);
        let batch = usual.min(fits).min(enough);
        let batch_why = match batch {
            _ if batch == usual => "the usual number; larger ones are faster on a GPU".to_owned(),
            _ if batch == fits => "what a quarter of the memory holds, about".to_owned(),
            _ => format!(
                "an eighth of {}, so that an epoch has steps enough",
                counted(train, "training picture")
            ),
        };
        let each = train.div_ceil(batch).max(1);
        let epochs = wanted_epochs(wanted, each);
        let small = facts.small_box.unwrap_or(0.1) * side as f64;
        let anchor = [8, 16, 32]
            .into_iter()
            .rev()
            .find(|size| *size as f64 <= small)
            .unwrap_or(8);
        Self {
            side,
            as_they_are,
            batch,
            batch_why,
            epochs,
            steps: epochs * each,
            anchor,
            train,
            held,
        }
    }
}

/// The epochs that make about so many steps, in bounds that suit few pictures and many.
fn wanted_epochs(steps: usize, each: usize) -> usize {
    steps.div_ceil(each).clamp(12, 150)
}
