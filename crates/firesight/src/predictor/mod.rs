//! A trained model in use: weights, preprocessing and class names in one thing.
//!
//! ```
//! use firesight::{device, predictor::Predictor};
//!
//! # let folder = tempfile::tempdir()?;
//! # let run = folder.path().join("run");
//! # let recipe = firesight::recipe::read_str("
//! #     epochs = 1
//! #     max-steps = 2
//! #     data = { source = { digits = {} }, batch-size = 64 }
//! #     task = { classification = { model = { cnn = { channels = [4] } } } }
//! #     optimizer = { sgd = { learning-rate = 0.1 } }
//! # ", "digits.toml")?;
//! # let options = firesight::train::Options::new(device::select(None)?);
//! # firesight::train::train(&recipe, options.out(&run))?;
//! // `run` is a run folder: `train` made it.
//! let predictor = Predictor::load(&run, &device::select(None)?)?;
//! # let five = std::fs::read_dir(run.join("preview"))?.next().unwrap()?.path();
//! let image = predictor.read(&five)?;
//! let prediction = &predictor.classify(vec![image])?[0];
//! println!("{} ({:.1} %)", prediction[0].name, 100.0 * prediction[0].probability);
//! # assert_eq!(prediction.len(), 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod export;
mod fits;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use burn::tensor::Device;
use firesight_data::decode::picture_file;
use firesight_data::preprocess::Preprocess;
use firesight_data::sample::Picture;
use firesight_engine::{Weights, load};
use firesight_models::weights::{StateDict, digest, write_safetensors};

use firesight_onnx::{Recorder, TensorKeys};

pub use export::Sidecar;
pub use firesight_predict::{
    Classify, Found, Guess, Model, PictureError, PredictConfig, PredictError, Segment,
    Segmentation, SlidingWindow, Tta, latent, with_channels,
};

use crate::card::{self, ModelCard};
use crate::device::NamedDevice;
use crate::error::Context;
use crate::recipe::Recipe;
use crate::run_folder::{ModelPath, RECIPE_FILE};
pub use crate::task::TrainedWeights;
use crate::task::{OwnTask, Predict, PredictOptions, Prediction, Used};

/// A trained model, ready for images, with where it comes from. What can be done with it is that of
/// [`firesight_predict::Predictor`], which it is.
pub struct Predictor {
    predictor: firesight_predict::Predictor,
    recipe: Recipe,
    weights: Weights,
    path: ModelPath,
}

impl Deref for Predictor {
    type Target = firesight_predict::Predictor;

    fn deref(&self) -> &Self::Target {
        &self.predictor
    }
}

impl Predictor {
    /// Loads a run folder's best (else last) checkpoint, or a checkpoint folder, the averaged weights
    /// where the run kept them; or a `.safetensors` file that `trainer export` wrote, with its `.json` beside it.
    ///
    /// # Errors
    /// A path that is none of these, a damaged checkpoint, weights that do not fit; each names the file.
    pub fn load(path: impl AsRef<Path>, device: &NamedDevice) -> crate::Result<Self> {
        Self::open(path.as_ref(), device, None)
    }

    /// The same, of a run whose task is the program's own.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn load_own(
        path: impl AsRef<Path>,
        device: &NamedDevice,
        task: &OwnTask,
    ) -> crate::Result<Self> {
        Self::open(path.as_ref(), device, Some(task))
    }

    fn open(path: &Path, device: &NamedDevice, task: Option<&OwnTask>) -> crate::Result<Self> {
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            return Self::load_export(path, device);
        }
        let path = ModelPath::find(path)?;
        let card = card::read(&path.checkpoint)?;
        let loaded = crate::recipe::read_for(&path.checkpoint.join(RECIPE_FILE), &[], task)?;
        let origin = path.checkpoint.join(ModelCard::FILE);
        fits::same_model(&card, &loaded).context(origin.display().to_string())?;
        let recipe = loaded.value;
        let weights = TrainedWeights {
            networks: load(&path.checkpoint)?.networks.into_iter().collect(),
            checkpoint: path.checkpoint.clone(),
            which: Weights::Current,
            exported: None,
            keys: None,
        };
        Self::assemble(path, card, recipe, weights, device)
    }

    fn load_export(path: &Path, device: &NamedDevice) -> crate::Result<Self> {
        let (card, recipe, sha256) = export::read(path)?;
        let exported = firesight_models::weights::read(path)?;
        export::check_digest(path, sha256.as_deref(), &digest(&exported))?;
        let weights = TrainedWeights {
            checkpoint: path.to_path_buf(),
            networks: BTreeMap::new(),
            which: Weights::Current,
            exported: Some(exported),
            keys: None,
        };
        let path = ModelPath {
            checkpoint: path.to_path_buf(),
            run: None,
            which: "exported",
        };
        Self::assemble(path, card, recipe, weights, device)
    }

    fn assemble(
        path: ModelPath,
        card: ModelCard,
        recipe: Recipe,
        mut weights: TrainedWeights,
        device: &NamedDevice,
    ) -> crate::Result<Self> {
        let task = recipe.task.table();
        let model = task.load(&card, &mut weights, &device.device)?;
        let preprocess = Preprocess::new(&recipe.data.preprocess);
        let normalize = recipe.data.normalize(card.channels);
        let device = device.device.clone();
        Ok(Self {
            predictor: firesight_predict::Predictor::new(
                model, card, preprocess, normalize, device,
            ),
            recipe,
            weights: weights.which,
            path,
        })
    }

    /// The same network on a recorder's device.
    ///
    /// # Errors
    /// None for weights that were loaded.
    pub(crate) fn recorded(
        &self,
        weights: &StateDict,
        recorder: &mut Recorder,
    ) -> crate::Result<Model> {
        let mut weights = TrainedWeights {
            checkpoint: self.path.checkpoint.clone(),
            networks: BTreeMap::new(),
            which: self.weights,
            exported: Some(weights.clone()),
            keys: Some(TensorKeys::default()),
        };
        let task = self.recipe.task.table();
        let model = task.load(self.card(), &mut weights, recorder.device())?;
        recorder.take_keys(weights.keys.unwrap_or_default());
        Ok(model)
    }

    /// What stands beside exported weights of it.
    ///
    /// # Errors
    /// None for a recipe that was read.
    pub fn sidecar(&self) -> crate::Result<Sidecar> {
        Sidecar::new(self.card(), &self.recipe, self.model().digest())
    }

    /// The recipe that it was trained with.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the weights come from, in words.
    pub fn origin(&self) -> String {
        let average = match self.weights {
            Weights::Ema => ", averaged weights",
            Weights::Current => "",
        };
        format!(
            "{} ({}{average})",
            self.path.checkpoint.display(),
            self.path.which
        )
    }

    /// Reads an image file as the model wants it: oriented, gray or RGB.
    ///
    /// # Errors
    /// A file that is missing, damaged or no image; a picture that the model cannot take, with a [`PictureError`].
    pub fn read(&self, path: impl AsRef<Path>) -> crate::Result<Picture> {
        let path = path.as_ref();
        let image = picture_file(path, &self.decoding())?;
        Ok(self.fitting(image, &path.display().to_string())?)
    }

    /// What the model says of each image, as its task tells, draws and writes it.
    ///
    /// # Errors
    /// An image that the model cannot take, a task that predicts nothing.
    ///
    /// ```no_run
    /// use firesight::{device, predictor::Predictor};
    ///
    /// let predictor = Predictor::load("runs/flowers", &device::select(None)?)?;
    /// let image = predictor.read("rose.jpg")?;
    /// for mut prediction in predictor.predict(std::slice::from_ref(&image))? {
    ///     println!("{}", prediction.to_json());
    ///     prediction.write(&image, "rose-predicted".as_ref())?; // rose-predicted.png
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn predict(&self, images: &[Picture]) -> crate::Result<Vec<Box<dyn Prediction>>> {
        self.used(PredictOptions::new())?.predict(images)
    }

    /// The model in use with settings of its task: `{"top": 3}`, the options of `trainer predict` without their dashes.
    ///
    /// # Errors
    /// Settings that the task does not have, or out of range; a task that predicts nothing.
    pub fn used(&self, options: PredictOptions) -> crate::Result<Box<dyn Predict + '_>> {
        let used = Used {
            predictor: &self.predictor,
            augment: &self.recipe.data.augment,
            seed: self.recipe.seed,
        };
        self.recipe.task.table().used(used, options)
    }

    /// Test-time augmentation: the mean of the probabilities for each image as it is and for `copies` more of it,
    /// changed by the recipe's own augmentations, which are drawn the same each time.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify_augmented(
        &self,
        images: Vec<impl Into<Picture>>,
        copies: u32,
    ) -> crate::Result<Vec<Vec<Guess>>> {
        let pipeline = self.preprocess().then(&self.recipe.data.augment);
        let seed = self.recipe.seed;
        Ok(self
            .predictor
            .classify_augmented(images, copies, &pipeline, seed)?)
    }

    /// Writes the weights as safetensors under PyTorch's names; `metadata` is free text by key.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path, metadata: &BTreeMap<String, String>) -> crate::Result<()> {
        Ok(write_safetensors(&self.model().weights(), path, metadata)?)
    }
}

/// The model of a run or of exported weights, and where it comes from in words.
///
/// # Errors
/// Those of [`Predictor::load`].
pub(crate) fn open(
    path: &Path,
    device: &Device,
) -> crate::Result<(firesight_predict::Predictor, String)> {
    let device = NamedDevice {
        device: device.clone(),
        backend: "",
        name: String::new(),
    };
    let found = Predictor::load(path, &device)?;
    let origin = found.origin();
    Ok((found.predictor, origin))
}

#[cfg(test)]
mod tests {
    use firesight_models::weights::state_dict;

    use super::*;
    use firesight_data::Image;

    use crate::recipe::TaskConfig;

    /// A predictor with untrained weights, for RGB pictures of 32x32.
    fn predictor(task: &str, preprocess: &str) -> Predictor {
        let text = format!(
            "epochs = 1\ndata = {{ source = {{ digits = {{}} }}, batch-size = 8, preprocess = {preprocess} }}\n\
             optimizer = {{ sgd = {{}} }}\ntask = {{ {task} }}\n"
        );
        let recipe = crate::recipe::read_str(&text, "r.toml").unwrap().value;
        let device = crate::device::select(Some("cpu")).unwrap();
        let card = ModelCard {
            task: recipe.task.table().name().to_owned(),
            model: recipe.task.table().model_name(),
            classes: vec!["a".into(), "b".into()],
            channels: 3,
            height: 32,
            width: 32,
            pixels: Default::default(),
        };
        let (input, target) = (card.input(), &device.device);
        let weights = match &recipe.task {
            TaskConfig::Classification(c) => state_dict(&c.model.init(input, 2, target).unwrap()),
            TaskConfig::Segmentation(c) => state_dict(&c.model.init(input, 2, target).unwrap()),
            TaskConfig::Detection(c) => state_dict(&c.model.init(input, 2, target).unwrap()),
            TaskConfig::Generation(c) => state_dict(&c.model.init(input, 2, target).unwrap().0),
            TaskConfig::Own(_) => unreachable!("no text names one"),
        };
        let weights = TrainedWeights {
            checkpoint: "memory".into(),
            networks: BTreeMap::new(),
            which: Weights::Current,
            exported: Some(weights),
            keys: None,
        };
        let path = ModelPath {
            checkpoint: "memory".into(),
            run: None,
            which: "exported",
        };
        Predictor::assemble(path, card, recipe, weights, &device).unwrap()
    }

    fn image(width: usize, height: usize, channels: usize) -> Image {
        Image {
            width,
            height,
            channels,
            pixels: vec![7; width * height * channels],
        }
    }

    const CLASSIFIER: &str =
        "classification = { model = { cnn = { channels = [4], hidden = [4] } } }";
    const SEGMENTER: &str = "segmentation = { model = { unet = { channels = [4, 4, 4, 4] } } }";
    const DETECTOR: &str = "detection = { model = { retinanet = { backbone = \"resnet18\", channels = 16, levels = 3, \
                            head-depth = 1 } } }";

    /// What a library's caller hands in is an error of a kind of its own, or is used; nothing panics.
    #[test]
    fn a_picture_that_does_not_fit_is_an_error() {
        type Use = fn(&Predictor, Image) -> Result<(), PredictError>;
        let uses: [(&str, Use); 3] = [
            (CLASSIFIER, |p, image| {
                p.features(vec![image.clone()])?;
                p.classify(vec![image]).map(drop)
            }),
            (SEGMENTER, |p, image| {
                let settings = p.segmentation_settings()?;
                p.segment(&image.into(), &settings).map(drop)
            }),
            (DETECTOR, |p, image| p.detect(vec![image], None).map(drop)),
        ];
        let crop =
            "[{ resize-shortest = { size = 40 } }, { center-crop = { width = 32, height = 32 } }]";
        for (task, used) in uses {
            for preprocess in ["[]", crop] {
                let predictor = predictor(task, preprocess);
                for [width, height] in [[1, 1], [32, 32], [1, 60], [60, 1], [3, 2]] {
                    used(&predictor, image(width, height, 3)).unwrap();
                }
                let cut = Image {
                    pixels: vec![7; 5],
                    ..image(2, 2, 3)
                };
                let mut wrong = vec![
                    cut,
                    image(0, 0, 3),
                    image(0, 9, 3),
                    image(9, 0, 3),
                    image(16_385, 1, 3),
                ];
                wrong.extend([0, 1, 2, 4].map(|channels| image(8, 8, channels)));
                for image in wrong {
                    let what = format!("{}x{}x{}", image.width, image.height, image.channels);
                    let error = used(&predictor, image).unwrap_err();
                    assert!(
                        matches!(error, PredictError::Picture(_)),
                        "{task}: {what}: {error:#}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_view_beyond_all_sizes_is_an_error() {
        let predictor = predictor(SEGMENTER, "[]");
        let mut settings = predictor.segmentation_settings().unwrap();
        settings.tta.scales = vec![8.0];
        let error = predictor
            .segment(&image(2049, 1, 3).into(), &settings)
            .unwrap_err();
        assert!(
            matches!(
                error,
                PredictError::Picture(PictureError::TooLarge { width: 16_392, .. })
            ),
            "{error:#}"
        );
        // Settings that came from elsewhere are checked too.
        settings.tta.scales = vec![f64::NAN];
        assert!(
            predictor
                .segment(&image(8, 8, 3).into(), &settings)
                .is_err()
        );
    }

    #[test]
    fn a_prediction_tells_draws_and_writes_itself() {
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("a.b");
        let picture = Picture::from(image(32, 32, 3));
        for (task, keys, endings, columns) in [
            (
                CLASSIFIER,
                &["classes", "picture", "scores"][..],
                &[".png"][..],
                "file,rank,class,probability",
            ),
            (
                SEGMENTER,
                &["classes", "mask", "overlay", "shares"],
                &["_mask.png", "_overlay.png"],
                "file,mask,overlay",
            ),
            (
                DETECTOR,
                &["boxes", "labels", "picture", "scores"],
                &[".png"],
                "file,x1,y1,x2,y2,class,score",
            ),
        ] {
            let predictor = predictor(task, "[]");
            let used = predictor.used(PredictOptions::new()).unwrap();
            assert_eq!(used.csv_header().trim_end(), columns);
            let mut found = used.predict(std::slice::from_ref(&picture)).unwrap();
            let [prediction] = &mut found[..] else {
                panic!("{task}: one picture, {} predictions", found.len())
            };
            assert!(prediction.files().is_empty());
            prediction.write(&picture, &stem).unwrap();
            assert_eq!(prediction.endings(), endings);
            for (file, ending) in prediction.files().into_iter().zip(endings) {
                assert!(
                    file.is_file() && file.ends_with(format!("a.b{ending}")),
                    "{file:?}"
                );
            }
            assert!(prediction.text("a, b").starts_with("a, b"), "{task}");
            let json: PredictOptions = serde_json::from_str(&prediction.to_json()).unwrap();
            assert_eq!(json.keys().collect::<Vec<_>>(), keys);
            let csv = prediction.to_csv("a, b");
            assert!(
                csv.lines().all(|line| line.starts_with("\"a, b\",")),
                "{csv}"
            );
        }
    }

    #[test]
    fn a_setting_that_a_task_does_not_have_or_cannot_follow_is_an_error() {
        for (task, options, said) in [
            (CLASSIFIER, r#"{"score": 0.5}"#, "unknown field `score`"),
            (CLASSIFIER, r#"{"top": -1}"#, "-1"),
            (CLASSIFIER, r#"{"augment": 1}"#, "augment: "),
            (SEGMENTER, r#"{"overlap": 0.5}"#, "overlap: "),
            (SEGMENTER, r#"{"window": 1}"#, "window: "),
            (SEGMENTER, r#"{"scales": []}"#, "scales: "),
            (DETECTOR, r#"{"score": 1.5}"#, "score: "),
            (DETECTOR, r#"{"max-detections": 0}"#, "max-detections: "),
        ] {
            let predictor = predictor(task, "[]");
            let options = serde_json::from_str(options).unwrap();
            let error = predictor.used(options).err().unwrap();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }

    #[test]
    fn a_model_of_another_task_is_an_error() {
        let predictor = predictor(CLASSIFIER, "[]");
        assert!(predictor.detect(vec![image(32, 32, 3)], None).is_err());
        assert!(predictor.segmenter().is_err() && predictor.generator().is_err());
        assert!(predictor.classify(Vec::<Image>::new()).unwrap().is_empty());
    }
}
