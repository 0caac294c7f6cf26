//! All models of all families: what `trainer models` lists and what `trainer verify` takes.
//!
//! ```
//! use firesight_models::zoo;
//!
//! let models = zoo::models();
//! let unet = models.iter().find(|model| model.name == "unet").unwrap();
//! assert_eq!((unet.task, unet.parameters), ("segmentation", 31_038_933));
//! ```

use burn::tensor::Device;
use serde::Serialize;

use crate::family::{Entry, Family};
use crate::tags::{Tag, multiply_adds, tags};
use crate::verify::{Verdict, VerifyError, verify};
use crate::weights::{LoadOptions, LoadReport, StateDict, WeightsError, apply};
use crate::{InputSpec, ModelError};

/// One model, whatever it is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// What a recipe writes.
    pub name: &'static str,
    /// What it is for: `classification`, `segmentation`, `detection` or `generation`.
    pub task: &'static str,
    /// The architecture it belongs to.
    pub family: &'static str,
    /// The number of parameters for the images and classes that it was published for.
    pub parameters: usize,
    /// The smallest side in pixels of an input.
    pub minimum_size: usize,
    /// Multiply-adds for one 224x224 RGB image, where they are known.
    pub multiply_adds: Option<u64>,
    /// Published weights, oldest first.
    pub tags: Vec<&'static str>,
}

/// Why a model could not be compared with a reference.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// The model cannot be made.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights do not fit it.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The reference does not fit it.
    #[error(transparent)]
    Reference(#[from] VerifyError),
}

macro_rules! families {
    ($($family:ident::$config:ident),+ $(,)?) => {
        /// Every model of every family.
        pub fn models() -> Vec<ModelSummary> {
            let mut models = Vec::new();
            $(models.extend(crate::$family::registry().into_iter().map(model));)+
            models
        }

        /// Loads weights into the model of that name and compares its outputs with a reference of the same images;
        /// `tag` says that the weights are published ones, `classes` that they have another number of classes.
        ///
        /// # Errors
        /// [`ZooError`]: no model of that name, and what does not fit it.
        pub fn compare(
            name: &str,
            weights: &StateDict,
            tag: Option<&Tag>,
            classes: Option<usize>,
            reference: &StateDict,
            device: &Device,
        ) -> Result<(Verdict, LoadReport), ZooError> {
            let compared = Compared { name, weights, tag, classes, reference, device };
            $(if let Some(found) = compared.run::<crate::$family::$config>() {
                return found;
            })+
            let names = models().into_iter().map(|model| model.name);
            Err(ModelError::unknown(name, names).into())
        }

        #[cfg(test)]
        mod names {
            $(#[test]
            fn $family() {
                super::tests::survive_serde::<crate::$family::$config>();
            })+
        }
    };
}

families! {
    classification::ClassifierConfig,
    segmentation::SegmenterConfig,
    detection::DetectorConfig,
    generation::GanConfig,
}

fn model<C: Family>(entry: Entry<C>) -> ModelSummary {
    ModelSummary {
        name: entry.name,
        task: C::TASK,
        family: entry.family,
        parameters: entry.parameters,
        minimum_size: entry.minimum,
        multiply_adds: multiply_adds(entry.name),
        tags: tags(entry.name).map(|tag| tag.tag).collect(),
    }
}

/// What [`compare`] was asked.
struct Compared<'a> {
    name: &'a str,
    weights: &'a StateDict,
    tag: Option<&'a Tag>,
    classes: Option<usize>,
    reference: &'a StateDict,
    device: &'a Device,
}

impl Compared<'_> {
    /// The outcome in a family; none where it has no model of that name.
    fn run<C: Family>(&self) -> Option<Result<(Verdict, LoadReport), ZooError>> {
        match self.outcome::<C>() {
            Err(ZooError::Model(ModelError::Unknown { .. })) => None,
            outcome => Some(outcome),
        }
    }

    fn outcome<C: Family>(&self) -> Result<(Verdict, LoadReport), ZooError> {
        let shape = self
            .reference
            .get("input")
            .map(|data| data.shape().to_vec());
        let Some([_, channels, height, width]) = shape.as_deref() else {
            let found = shape.map_or("none".to_string(), |shape| format!("{shape:?}"));
            return Err(VerifyError::Input { found }.into());
        };
        let input = InputSpec {
            channels: *channels,
            height: *height,
            width: *width,
        };
        let model = C::for_weights(self.name, self.weights, input, self.classes, self.device)?;
        let model = match self.tag {
            Some(tag) => C::as_published(model, tag),
            None => model,
        };
        let options = LoadOptions {
            replace_head: false,
            ..LoadOptions::default()
        };
        let (model, report) = apply(model, self.weights, &options)?;
        Ok((verify(&model, self.reference, self.device)?, report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Family;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeSet;
    use std::fmt::Debug;

    /// A name in a recipe, alone or with an empty table, is the registry's member of that name.
    pub(super) fn survive_serde<C: Family + Serialize + DeserializeOwned + PartialEq + Debug>() {
        for entry in C::registry() {
            let json = serde_json::to_value(&entry.config).unwrap();
            assert!(json.get(entry.name).is_some(), "{}: {json}", entry.name);
            assert_eq!(serde_json::from_value::<C>(json).unwrap(), entry.config);
            let empty = serde_json::json!({ entry.name: {} });
            assert_eq!(serde_json::from_value::<C>(empty).unwrap(), entry.config);
        }
    }

    #[test]
    fn no_two_models_have_one_name() {
        let models = models();
        let names: BTreeSet<&str> = models.iter().map(|model| model.name).collect();
        assert_eq!(names.len(), models.len());
    }
}
