//! What a segmenter or a detector needs of a classification network: its feature maps by stride.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::Backbone;
//! use firesight_models::InputSpec;
//! use firesight_models::classification::{ClassifierConfig};
//!
//! let device = Device::default();
//! let model = ClassifierConfig::named("resnet18")?.init(InputSpec::rgb(64), 10, &device)?;
//! assert_eq!(model.feature_channels(), [(4, 64), (8, 128), (16, 256), (32, 512)]);
//! let maps = model.feature_maps(Tensor::zeros([1, 3, 64, 64], &device));
//! assert_eq!(maps[1].tensor.dims(), [1, 128, 8, 8]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::tensor::Tensor;

/// One feature map of a backbone.
#[derive(Clone, Debug)]
pub struct FeatureMap {
    /// Pixels of the input per step of the map, `2, 4, 8, 16, 32` in most networks. The map of an
    /// input that the stride does not divide is rounded as the network's own layers round.
    pub stride: usize,
    /// The map, `[N, C, H', W']`.
    pub tensor: Tensor<4>,
}

/// A network without its head.
pub trait Backbone {
    /// `(stride, channels)` of every map that [`Backbone::feature_maps`] gives, in its order. A
    /// stride occurs once per stage, so a dilated network repeats the stride it stops at.
    fn feature_channels(&self) -> Vec<(usize, usize)>;

    /// The last map of every stage, finest first.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: one `[N, C', H', W']` per stage
    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap>;

    /// The network without the layers that only its logits need, for a model that has heads of its own;
    /// `None` where the network cannot be parted from them.
    fn into_body(self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}
