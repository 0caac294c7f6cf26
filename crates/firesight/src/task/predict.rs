//! A trained model in use: what it says of pictures, told, drawn and written as its task does it.

use std::path::{Path, PathBuf};

use firesight_data::augment::Augment;
use firesight_data::draw::write_png;
use firesight_data::sample::{Image, Picture};
use firesight_predict::{PredictError, Predictor};
use serde::de::DeserializeOwned;

/// Settings of a prediction by their names, `{"top": 3}`: the options of `trainer predict` that belong to the model's
/// task, without their dashes.
pub type PredictOptions = serde_json::Map<String, serde_json::Value>;

/// A trained model, and what its recipe says that matters beside it.
#[derive(Clone, Copy)]
pub struct Used<'a> {
    /// The model with its preprocessing.
    pub predictor: &'a Predictor,
    /// The changes to training images.
    pub augment: &'a [Augment],
    /// The recipe's seed.
    pub seed: u64,
}

/// The use of a trained model on pictures, all settings made.
pub trait Predict {
    /// What a model says of each picture, in their order.
    ///
    /// # Errors
    /// A picture that the model cannot take.
    fn predict(&self, images: &[Picture]) -> crate::Result<Vec<Box<dyn Prediction>>>;

    /// The columns of [`Prediction::records`].
    fn columns(&self) -> &'static [&'static str];

    /// The folder for predictions that are files by nature, such as masks, where no other is asked for.
    fn folder(&self) -> Option<&'static str> {
        None
    }

    /// Whether pictures are seen one by one, so that nothing is gained by several at once.
    fn is_one_by_one(&self) -> bool {
        false
    }
}

impl dyn Predict + '_ {
    /// The first line of CSV, above those of the predictions.
    pub fn csv_header(&self) -> String {
        csv_text([[&["file"], self.columns()].concat()])
    }
}

/// What a model says of a picture. Serialised, it is the picture's object in the list of `trainer predict --json`,
/// without the name of its file.
pub trait Prediction: erased_serde::Serialize {
    /// In lines for people.
    fn lines(&self) -> Vec<String>;

    /// What is said of all lines together, behind the picture's name.
    fn summary(&self) -> Option<String> {
        None
    }

    /// As records of a table, without the picture's name.
    fn records(&self) -> Vec<Vec<String>>;

    /// The picture with the prediction drawn in.
    fn draw(&self, picture: &Picture) -> Image;

    /// What comes after the stem in the names of the files that [`Self::write`] makes.
    fn endings(&self) -> &'static [&'static str] {
        &[PICTURE]
    }

    /// Writes the picture with the prediction drawn in, and what else is a file, beside each other: `stem` with each of
    /// the endings. From then on the prediction tells where they are.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn write(&mut self, picture: &Picture, stem: &Path) -> crate::Result<()>;

    /// The files that were written.
    fn files(&self) -> Vec<&Path>;
}

erased_serde::serialize_trait_object!(Prediction);

impl dyn Prediction {
    /// As JSON on several lines.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a prediction is plain data")
    }

    /// As lines of CSV, of a picture of that name.
    pub fn to_csv(&self, name: &str) -> String {
        let records = self.records().into_iter();
        csv_text(records.map(|record| [vec![name.to_owned()], record].concat()))
    }

    /// As text for people, of a picture of that name: a line for it, and what belongs to it below.
    pub fn text(&self, name: &str) -> String {
        let summary = self.summary().map(|summary| format!(": {summary}"));
        let mut text = format!("{name}{}", summary.unwrap_or_default());
        let files: Vec<String> = self
            .files()
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let files = (!files.is_empty()).then(|| files.join(", "));
        for line in self.lines().into_iter().chain(files) {
            text += &format!("\n  {line}");
        }
        text
    }
}

/// Records as CSV: fields quoted where they must be (RFC 4180), one line each.
pub(crate) fn csv_text<R: IntoIterator<Item: AsRef<[u8]>>>(
    records: impl IntoIterator<Item = R>,
) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    for record in records {
        out.write_record(record)
            .expect("memory takes what is written");
    }
    let bytes = out.into_inner().expect("memory takes what is written");
    String::from_utf8(bytes).expect("fields are text")
}

/// The ending of a picture with a prediction drawn in.
const PICTURE: &str = ".png";

/// Writes a picture with a prediction drawn in, and gives its path.
pub(super) fn write_picture(drawn: &Image, stem: &Path) -> crate::Result<PathBuf> {
    let path = with_ending(stem, PICTURE);
    write_png(drawn, &path)?;
    Ok(path)
}

/// The path of a stem, which may have dots of its own, with an ending.
pub(super) fn with_ending(stem: &Path, ending: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The settings of a task by their names.
///
/// # Errors
/// A name that the task does not know, a value of another type.
pub(super) fn read<T: DeserializeOwned>(options: PredictOptions) -> crate::Result<T> {
    let read = serde_json::from_value(options.into());
    read.map_err(|error| crate::Error::new(format!("settings of the prediction: {error}")))
}

/// A setting out of range, by its name.
pub(super) fn setting(key: &str, message: impl Into<String>) -> crate::Error {
    let (key, message) = (key.to_owned(), message.into());
    PredictError::Setting { key, message }.into()
}
