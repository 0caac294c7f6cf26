//! What a report shows of an evaluation beyond its numbers.

use firesight_data::loader::Skipped;
use firesight_data::sample::Image;
use firesight_report::results::Section;

/// What a report shows of an evaluation beyond its numbers; empty before, filled by the task.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// `[truth][predicted]` counts.
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Every sample measured.
    pub samples: Vec<SampleDetail>,
    /// The samples that could not be read and were left out.
    pub skipped: Vec<Skipped>,
    /// Tables and charts of the task's own.
    pub sections: Vec<Section>,
    /// Pictures of the task's own, written beside the report.
    pub galleries: Vec<Gallery>,
    /// The number of each sample of the split in files of results, by its index; what the dataset calls it.
    pub numbers: Vec<u64>,
    /// The number of each class in files of results; what the dataset calls it.
    pub class_numbers: Vec<u64>,
    /// What `eval --predictions` writes where the task has a format of its own; else each of `samples`
    /// becomes a line of CSV.
    pub predictions: Option<String>,
}

/// Pictures that a report shows under one heading.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// The heading; in small letters it also names the files.
    pub title: String,
    /// Paragraphs above the pictures.
    pub text: Vec<String>,
    /// Each picture with its caption.
    pub pictures: Vec<(Image, String)>,
}

/// One sample of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleDetail {
    /// Its index in the split.
    pub index: usize,
    /// Its true class, where it has one.
    pub truth: Option<usize>,
    /// The best classes with their probabilities, the best first.
    pub top: Vec<(usize, f64)>,
    /// Its loss.
    pub loss: f64,
}
