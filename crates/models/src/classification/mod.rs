//! Classifiers, one file per architecture, behind one enum that a recipe names.
//!
//! Adding a model is one new file that implements [`Architecture`] and one line in `zoo!` below:
//! the recipe's names, the registry, [`Classifier`] and every suite that runs "over all models"
//! follow from that line. Variant names are torchvision's, and so are the state-dict keys.
//!
//! ```
//! use firesight_models::classification::{ClassifierConfig, registry};
//!
//! let largest = registry().into_iter().max_by_key(|entry| entry.parameters).unwrap();
//! assert_eq!((largest.name, largest.input.height), ("convnext_large", 224));
//! let unknown = ClassifierConfig::named("resnet19").unwrap_err();
//! assert!(unknown.to_string().contains("resnet18"));
//! ```

pub mod alexnet;
pub mod cnn;
pub mod convnext;
pub mod densenet;
pub mod efficientnet;
pub mod googlenet;
pub mod inception_v3;
pub mod lenet;
pub mod mnasnet;
pub mod mobilenet_v2;
pub mod mobilenet_v3;
pub mod regnet;
pub mod resnet;
pub mod resnet20;
pub mod shufflenet_v2;
pub mod squeezenet;
pub mod vgg;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, ModelError};

/// Channels and size of the images that a model is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Image channels: 1 for grey, 3 for RGB.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl InputSpec {
    /// A square RGB image.
    pub const fn rgb(side: usize) -> Self {
        Self {
            channels: 3,
            height: side,
            width: side,
        }
    }

    /// A square grey image.
    pub const fn grey(side: usize) -> Self {
        Self {
            channels: 1,
            height: side,
            width: side,
        }
    }
}

/// What a classifier gives in training.
#[derive(Clone, Debug)]
pub struct ClassifierOutput {
    /// The scores before the softmax, `[N, classes]`.
    pub logits: Tensor<2>,
    /// Auxiliary heads: the weight of each one's loss beside the main one's 1, and its logits.
    pub aux: Vec<(f64, Tensor<2>)>,
}

/// One published size of an architecture.
#[derive(Clone, Copy, Debug)]
pub struct Variant<S: 'static> {
    /// What distinguishes this size from the others.
    pub shape: S,
    /// The published number of parameters (running statistics not counted) at `input`, `classes`.
    pub parameters: usize,
    /// The input it was published for.
    pub input: InputSpec,
    /// The number of classes it was published for.
    pub classes: usize,
    /// The smallest side in pixels of an input.
    pub minimum: usize,
}

impl<S> Variant<S> {
    /// A variant published for ImageNet: 224x224 RGB and 1000 classes.
    pub const fn imagenet(parameters: usize, minimum: usize, shape: S) -> Self {
        Self {
            shape,
            parameters,
            input: InputSpec::rgb(224),
            classes: 1000,
            minimum,
        }
    }
}

/// An architecture: a module with a head, made from a variant's shape and a recipe's options.
pub trait Architecture: Module + TorchNames + Sized {
    /// What distinguishes the variants.
    type Shape: 'static;
    /// The options of a recipe.
    type Config;

    /// What is wrong with the options: `(key, message)` pairs.
    fn problems(config: &Self::Config) -> Vec<(String, String)>;

    /// Makes the network. Input, classes and options have been checked.
    ///
    /// # Errors
    /// [`ModelError`] for a combination of input and options that the network cannot have.
    fn build(
        shape: &Self::Shape,
        config: &Self::Config,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError>;

    /// Pooled features before the head, after the head's hidden layers if it has any.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, features]`
    fn embed(&self, x: Tensor<4>) -> Tensor<2>;

    /// Logits.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, classes]`
    fn forward(&self, x: Tensor<4>) -> Tensor<2>;

    /// Logits and those of the auxiliary heads, for training.
    fn forward_train(&self, x: Tensor<4>) -> ClassifierOutput {
        ClassifierOutput {
            logits: self.forward(x),
            aux: Vec::new(),
        }
    }
}

/// One line of the registry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// torchvision's name, or the paper's where torchvision has none: what a recipe writes.
    pub name: &'static str,
    /// The architecture it belongs to: the name of its variant in [`Classifier`].
    pub family: &'static str,
    /// The published number of parameters at `input` and `classes`.
    pub parameters: usize,
    /// The input it was published for.
    pub input: InputSpec,
    /// The number of classes it was published for.
    pub classes: usize,
    /// The smallest side in pixels of an input.
    pub minimum: usize,
    /// The model with its default options.
    pub config: ClassifierConfig,
}

macro_rules! zoo {
    ($(#[$doc:meta] $file:ident::$family:ident {
        $($variant:ident $name:literal $published:ident),+ $(,)?
    })+) => {
        /// A classifier as a recipe names it: `model = "resnet18"`, or with options
        /// `model = { lenet = { dropout = 0.25 } }`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum ClassifierConfig {
            $($(
                #[$doc]
                #[serde(rename = $name)]
                $variant(<$file::$family as Architecture>::Config),
            )+)+
        }

        /// A classifier of any architecture.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one classifier at a time; Module is not implemented for Box")]
        pub enum Classifier {
            $(#[$doc] $family($file::$family),)+
        }

        /// Every classifier there is, in the order of this folder's list.
        pub fn registry() -> Vec<Entry> {
            vec![$($(Entry {
                name: $name,
                family: stringify!($family),
                parameters: $file::$published.parameters,
                input: $file::$published.input,
                classes: $file::$published.classes,
                minimum: $file::$published.minimum,
                config: ClassifierConfig::$variant(Default::default()),
            },)+)+]
        }

        impl Classifier {
            /// See [`Backbone::into_body`].
            fn without_head(self) -> Option<Self> {
                match self { $(Self::$family(model) => model.into_body().map(Self::$family),)+ }
            }
        }

        impl ClassifierConfig {
            /// The model's name in the registry.
            pub fn name(&self) -> &'static str {
                match self { $($(Self::$variant(_) => $name,)+)+ }
            }

            /// What is wrong with the options: `(key inside the model's table, message)` pairs.
            pub fn problems(&self) -> Vec<(String, String)> {
                match self {
                    $($(Self::$variant(config) => <$file::$family as Architecture>::problems(config),)+)+
                }
            }

            /// The smallest side in pixels of an input.
            pub fn minimum(&self) -> usize {
                match self { $($(Self::$variant(_) => $file::$published.minimum,)+)+ }
            }

            fn build(&self, input: InputSpec, classes: usize, device: &Device)
                -> Result<Classifier, ModelError>
            {
                match self {$($(
                    Self::$variant(config) => <$file::$family as Architecture>::build(
                        &$file::$published.shape, config, input, classes, device,
                    ).map(Classifier::$family),
                )+)+}
            }
        }

        /// Calls a function of the architecture inside.
        macro_rules! each {
            ($self:expr, $model:ident => $call:expr) => {
                match $self { $(Classifier::$family($model) => $call,)+ }
            };
        }
    };
}

zoo! {
    /// LeNet-5 (LeCun et al. 1998), for small images.
    lenet::LeNet { Lenet "lenet" LENET }
    /// A small network of convolution blocks whose widths the recipe gives.
    cnn::Cnn { Cnn "cnn" CNN }
    /// The ResNet for CIFAR (He et al. 2015, section 4.2).
    resnet20::CifarResNet {
        Resnet20 "resnet20" RESNET20,
        Resnet32 "resnet32" RESNET32,
        Resnet44 "resnet44" RESNET44,
        Resnet56 "resnet56" RESNET56,
        Resnet110 "resnet110" RESNET110,
    }
    /// ResNet, ResNeXt and Wide ResNet.
    resnet::ResNet {
        Resnet18 "resnet18" RESNET18,
        Resnet34 "resnet34" RESNET34,
        Resnet50 "resnet50" RESNET50,
        Resnet101 "resnet101" RESNET101,
        Resnet152 "resnet152" RESNET152,
        Resnext50_32x4d "resnext50_32x4d" RESNEXT50_32X4D,
        Resnext101_32x8d "resnext101_32x8d" RESNEXT101_32X8D,
        Resnext101_64x4d "resnext101_64x4d" RESNEXT101_64X4D,
        WideResnet50_2 "wide_resnet50_2" WIDE_RESNET50_2,
        WideResnet101_2 "wide_resnet101_2" WIDE_RESNET101_2,
    }
    /// AlexNet.
    alexnet::AlexNet { Alexnet "alexnet" ALEXNET }
    /// VGG, with and without batch normalisation.
    vgg::Vgg {
        Vgg11 "vgg11" VGG11,
        Vgg11Bn "vgg11_bn" VGG11_BN,
        Vgg13 "vgg13" VGG13,
        Vgg13Bn "vgg13_bn" VGG13_BN,
        Vgg16 "vgg16" VGG16,
        Vgg16Bn "vgg16_bn" VGG16_BN,
        Vgg19 "vgg19" VGG19,
        Vgg19Bn "vgg19_bn" VGG19_BN,
    }
    /// DenseNet.
    densenet::DenseNet {
        Densenet121 "densenet121" DENSENET121,
        Densenet161 "densenet161" DENSENET161,
        Densenet169 "densenet169" DENSENET169,
        Densenet201 "densenet201" DENSENET201,
    }
    /// SqueezeNet.
    squeezenet::SqueezeNet {
        Squeezenet1_0 "squeezenet1_0" SQUEEZENET1_0,
        Squeezenet1_1 "squeezenet1_1" SQUEEZENET1_1,
    }
    /// MobileNet V2.
    mobilenet_v2::MobileNetV2 { MobilenetV2 "mobilenet_v2" MOBILENET_V2 }
    /// EfficientNet and EfficientNet V2.
    efficientnet::EfficientNet {
        EfficientnetB0 "efficientnet_b0" EFFICIENTNET_B0,
        EfficientnetB1 "efficientnet_b1" EFFICIENTNET_B1,
        EfficientnetB2 "efficientnet_b2" EFFICIENTNET_B2,
        EfficientnetB3 "efficientnet_b3" EFFICIENTNET_B3,
        EfficientnetB4 "efficientnet_b4" EFFICIENTNET_B4,
        EfficientnetB5 "efficientnet_b5" EFFICIENTNET_B5,
        EfficientnetB6 "efficientnet_b6" EFFICIENTNET_B6,
        EfficientnetB7 "efficientnet_b7" EFFICIENTNET_B7,
        EfficientnetV2S "efficientnet_v2_s" EFFICIENTNET_V2_S,
        EfficientnetV2M "efficientnet_v2_m" EFFICIENTNET_V2_M,
        EfficientnetV2L "efficientnet_v2_l" EFFICIENTNET_V2_L,
    }
    /// GoogLeNet, with its auxiliary heads.
    googlenet::GoogLeNet { Googlenet "googlenet" GOOGLENET }
    /// Inception v3, with its auxiliary head.
    inception_v3::InceptionV3 { InceptionV3 "inception_v3" INCEPTION_V3 }
    /// MobileNet V3.
    mobilenet_v3::MobileNetV3 {
        MobilenetV3Large "mobilenet_v3_large" MOBILENET_V3_LARGE,
        MobilenetV3Small "mobilenet_v3_small" MOBILENET_V3_SMALL,
    }
    /// MNASNet.
    mnasnet::MnasNet {
        Mnasnet0_5 "mnasnet0_5" MNASNET0_5,
        Mnasnet0_75 "mnasnet0_75" MNASNET0_75,
        Mnasnet1_0 "mnasnet1_0" MNASNET1_0,
        Mnasnet1_3 "mnasnet1_3" MNASNET1_3,
    }
    /// ShuffleNet V2.
    shufflenet_v2::ShuffleNetV2 {
        ShufflenetV2X0_5 "shufflenet_v2_x0_5" SHUFFLENET_V2_X0_5,
        ShufflenetV2X1_0 "shufflenet_v2_x1_0" SHUFFLENET_V2_X1_0,
        ShufflenetV2X1_5 "shufflenet_v2_x1_5" SHUFFLENET_V2_X1_5,
        ShufflenetV2X2_0 "shufflenet_v2_x2_0" SHUFFLENET_V2_X2_0,
    }
    /// RegNet X and Y.
    regnet::RegNet {
        RegnetX400mf "regnet_x_400mf" REGNET_X_400MF,
        RegnetX800mf "regnet_x_800mf" REGNET_X_800MF,
        RegnetX1_6gf "regnet_x_1_6gf" REGNET_X_1_6GF,
        RegnetX3_2gf "regnet_x_3_2gf" REGNET_X_3_2GF,
        RegnetX8gf "regnet_x_8gf" REGNET_X_8GF,
        RegnetX16gf "regnet_x_16gf" REGNET_X_16GF,
        RegnetX32gf "regnet_x_32gf" REGNET_X_32GF,
        RegnetY400mf "regnet_y_400mf" REGNET_Y_400MF,
        RegnetY800mf "regnet_y_800mf" REGNET_Y_800MF,
        RegnetY1_6gf "regnet_y_1_6gf" REGNET_Y_1_6GF,
        RegnetY3_2gf "regnet_y_3_2gf" REGNET_Y_3_2GF,
        RegnetY8gf "regnet_y_8gf" REGNET_Y_8GF,
        RegnetY16gf "regnet_y_16gf" REGNET_Y_16GF,
        RegnetY32gf "regnet_y_32gf" REGNET_Y_32GF,
    }
    /// ConvNeXt.
    convnext::ConvNext {
        ConvnextTiny "convnext_tiny" CONVNEXT_TINY,
        ConvnextSmall "convnext_small" CONVNEXT_SMALL,
        ConvnextBase "convnext_base" CONVNEXT_BASE,
        ConvnextLarge "convnext_large" CONVNEXT_LARGE,
    }
}

impl ClassifierConfig {
    /// The model of that name with its default options.
    ///
    /// # Errors
    /// [`ModelError::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self, ModelError> {
        let entries = registry();
        if let Some(entry) = entries.iter().find(|entry| entry.name == name) {
            return Ok(entry.config.clone());
        }
        let nearest = entries
            .iter()
            .map(|entry| (edit_distance(entry.name, name), entry.name))
            .min()
            .filter(|(distance, nearest)| *distance <= nearest.len() / 3)
            .map(|(_, nearest)| nearest.to_string());
        Err(ModelError::Unknown {
            name: name.to_string(),
            nearest,
        })
    }

    /// Makes the network with freshly drawn parameters.
    ///
    /// # Errors
    /// [`ModelError`] for options out of range, no class, no channel, or images that are too small.
    pub fn init(
        &self,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Classifier, ModelError> {
        let model = || self.name().to_string();
        if let Some((key, message)) = self.problems().into_iter().next() {
            return Err(ModelError::Option {
                model: model(),
                key,
                message,
            });
        }
        if input.channels == 0 {
            return Err(ModelError::NoChannels { model: model() });
        }
        if classes == 0 {
            return Err(ModelError::NoClasses { model: model() });
        }
        let minimum = self.minimum();
        if input.height.min(input.width) < minimum {
            let (height, width) = (input.height, input.width);
            return Err(ModelError::InputTooSmall {
                model: model(),
                minimum,
                height,
                width,
            });
        }
        self.build(input, classes, device)
    }
}

impl Classifier {
    /// Logits; batch statistics and dropout act when `x` is on an autodiff device.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, classes]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        each!(self, model => Architecture::forward(model, x))
    }

    /// Logits and those of the auxiliary heads, for training.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    pub fn forward_train(&self, x: Tensor<4>) -> ClassifierOutput {
        each!(self, model => Architecture::forward_train(model, x))
    }

    /// Pooled features before the last layer of the head.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, features]`
    pub fn features(&self, x: Tensor<4>) -> Tensor<2> {
        each!(self, model => Architecture::embed(model, x))
    }
}

impl Backbone for Classifier {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        each!(self, model => model.feature_channels())
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        each!(self, model => model.feature_maps(x))
    }

    fn into_body(self) -> Option<Self> {
        self.without_head()
    }
}

impl TorchNames for Classifier {
    fn torch_name(&self, path: &str) -> String {
        each!(self, model => model.torch_name(path))
    }

    fn head(&self) -> &'static [&'static str] {
        each!(self, model => model.head())
    }

    fn published_key(&self, key: &str) -> String {
        each!(self, model => model.published_key(key))
    }
}

/// Whether the input has the three channels that an option of ImageNet's normalisation is about.
fn check_transform_input(model: &str, asked: bool, input: InputSpec) -> Result<(), ModelError> {
    if !asked || input.channels == 3 {
        return Ok(());
    }
    Err(ModelError::Option {
        model: model.to_string(),
        key: "transform-input".to_string(),
        message: format!(
            "needs RGB images, the input has {} channels",
            input.channels
        ),
    })
}

/// Levenshtein's distance, for "did you mean".
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_survive_serde() {
        let entries = registry();
        for (i, entry) in entries.iter().enumerate() {
            assert!(
                entries[..i].iter().all(|other| other.name != entry.name),
                "{}",
                entry.name
            );
            let json = serde_json::to_value(&entry.config).unwrap();
            assert!(json.get(entry.name).is_some(), "{json}");
            let back: ClassifierConfig = serde_json::from_value(json).unwrap();
            assert_eq!(back, entry.config);
            assert_eq!(back.name(), entry.name);
            let empty = format!("{{\"{}\": {{}}}}", entry.name);
            assert_eq!(
                serde_json::from_str::<ClassifierConfig>(&empty).unwrap(),
                entry.config
            );
        }
    }

    #[test]
    fn an_unknown_name_brings_the_nearest() {
        let error = ClassifierConfig::named("resnet-18").unwrap_err();
        assert!(
            error.to_string().contains("did you mean `resnet18`"),
            "{error}"
        );
        assert!(matches!(
            ClassifierConfig::named("transformer"),
            Err(ModelError::Unknown { nearest: None, .. })
        ));
    }

    #[test]
    fn bad_inputs_are_refused() {
        let device = Device::flex();
        let lenet = ClassifierConfig::named("lenet").unwrap();
        let no_channels = InputSpec {
            channels: 0,
            height: 28,
            width: 28,
        };
        assert!(matches!(
            lenet.init(no_channels, 10, &device),
            Err(ModelError::NoChannels { .. })
        ));
        let grey = InputSpec::grey(28);
        assert!(matches!(
            lenet.init(grey, 0, &device),
            Err(ModelError::NoClasses { .. })
        ));
        let tiny = InputSpec::grey(3);
        assert!(matches!(
            lenet.init(tiny, 10, &device),
            Err(ModelError::InputTooSmall { .. })
        ));
        let text = r#"{"lenet": {"dropout": 1.5}}"#;
        let wild: ClassifierConfig = serde_json::from_str(text).unwrap();
        assert!(matches!(
            wild.init(grey, 10, &device),
            Err(ModelError::Option { .. })
        ));
        assert!(serde_json::from_str::<ClassifierConfig>(r#"{"lenet": {"drop": 0.5}}"#).is_err());
    }
}
