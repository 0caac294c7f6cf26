//! The skip architecture of FCN-8s over any network of the zoo, for small machines: class scores of the maps of
//! several stages, from the coarsest to the finest, each upsampled by a transposed convolution that starts as
//! bilinear interpolation and added to the next (Long, Shelhamer and Darrell 2015,
//! <https://arxiv.org/abs/1411.4038>, section 4.2).
//!
//! Unlike the published networks it has no fully connected layers turned into convolutions, maps are padded so that
//! they need no crop, the skips are not scaled down, and the last upsampling is fixed bilinear interpolation.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::segmentation::SegmenterArchitecture;
//! use firesight_models::segmentation::fcn_skip::{FcnSkip, FcnSkipConfig};
//!
//! let (backbone, device) = (ClassifierConfig::named("resnet20")?, Device::default());
//! let config = FcnSkipConfig { backbone, ..Default::default() };
//! let model = FcnSkip::new(&config, 3, 4, &device)?;
//! let logits = model.forward(Tensor::zeros([1, 3, 18, 21], &device));
//! assert_eq!(logits.dims(), [1, 4, 18, 21]);
//! let deeper = FcnSkipConfig { skips: 3, ..config };
//! assert!(FcnSkip::new(&deeper, 3, 4, &device).is_err()); // there are three stages
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::Dropout;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::{Device, Tensor};
use firesight_kernels as kernels;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SegmenterArchitecture, SegmenterOutput, body, to_size, upsample};
use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, PublishedModel};
use crate::layers::{check_rate, conv, dropout};
use crate::weights::TorchNames;
use crate::{Backbone, InputSpec, ModelError};

/// An FCN with skips over any network of the zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FcnSkipConfig {
    /// The network below.
    pub backbone: ClassifierConfig,
    /// How many stages before the last also give scores; at most as many as there are.
    pub skips: usize,
    /// The share of values dropped before the scores of the last map in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for FcnSkipConfig {
    fn default() -> Self {
        Self {
            backbone: ClassifierConfig::Resnet18(Default::default()),
            skips: 2,
            dropout: 0.1,
        }
    }
}

/// The skips of FCN-8s over the default network.
pub const FCN_SKIP: PublishedModel<FcnSkipConfig, FcnSkipConfig> = PublishedModel {
    parameters: 11_209_503,
    config: FcnSkipConfig::clone,
};

impl FcnSkipConfig {
    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = body::problems(&self.backbone);
        problems.extend(check_rate("dropout", self.dropout));
        // No network here has more stages; whether this one has as many is known when it is built.
        if self.skips > 8 {
            problems.push(("skips".into(), format!("{} is not from 0 to 8", self.skips)));
        }
        problems
    }
}

/// An FCN with skips.
#[derive(Module, Debug)]
pub struct FcnSkip {
    backbone: Classifier,
    /// The coarsest first.
    scores: Vec<Conv2d>,
    /// Between each map and the next finer one; nothing between maps of equal stride.
    ups: Vec<Option<ConvTranspose2d>>,
    dropout: Dropout,
}

impl FcnSkip {
    /// Makes the network with freshly drawn parameters.
    ///
    /// # Errors
    /// [`ModelError`] for a backbone that cannot be one, or that has fewer stages than skips are asked for.
    pub fn new(
        config: &FcnSkipConfig,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let backbone = body::build(&config.backbone, channels, device)?;
        let mut maps = backbone.feature_channels();
        if config.skips >= maps.len() {
            return Err(ModelError::Option {
                model: "fcn_skip".to_string(),
                key: "skips".to_string(),
                message: format!(
                    "{} skips, but `{}` has {} stages; give at most {}",
                    config.skips,
                    config.backbone.name(),
                    maps.len(),
                    maps.len() - 1
                ),
            });
        }
        maps.reverse();
        maps.truncate(config.skips + 1);
        let up = |pair: &[(usize, usize)]| {
            let factor = pair[0].0 / pair[1].0;
            (factor > 1).then(|| upsample::bilinear(classes, factor, factor / 2, device))
        };
        Ok(Self {
            backbone,
            scores: maps
                .iter()
                .map(|(_, channels)| conv(*channels, classes, 1).init(device))
                .collect(),
            ups: maps.windows(2).map(up).collect(),
            dropout: dropout(config.dropout),
        })
    }
}

impl Member for FcnSkip {
    type Config = FcnSkipConfig;

    fn problems(config: &FcnSkipConfig) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &FcnSkipConfig) -> usize {
        body::minimum(&config.backbone)
    }

    fn build(
        _: &'static str,
        config: &FcnSkipConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::new(config, input.channels, classes, device)
    }
}

impl SegmenterArchitecture for FcnSkip {
    fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput {
        SegmenterOutput {
            logits: self.forward(x),
            aux: None,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let maps = self.backbone.feature_maps(x).into_iter().rev();
        let mut fused: Option<Tensor<4>> = None;
        for (i, (map, score)) in maps.zip(&self.scores).enumerate() {
            fused = Some(match fused {
                None => kernels::conv2d(score, self.dropout.forward(map.tensor)),
                Some(coarse) => {
                    let scores = kernels::conv2d(score, map.tensor);
                    let [_, _, h, w] = scores.dims();
                    let coarse = match &self.ups[i - 1] {
                        Some(up) => kernels::conv_transpose2d(up, coarse),
                        None => coarse,
                    };
                    // An odd size is not twice the next one.
                    to_size(coarse, [h, w]) + scores
                }
            });
        }
        to_size(fused.expect("there is a score"), [height, width])
    }
}

impl TorchNames for FcnSkip {
    fn torch_name(&self, path: &str) -> String {
        match path.strip_prefix("backbone.") {
            Some(rest) => body::torch_name(&self.backbone, rest),
            None => path.to_string(),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["scores.", "ups."]
    }
}
