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
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::InputSpec;
use crate::family::{Entry, Family, check, each_architecture, list};
use crate::verify::NamedOutputs;
use crate::weights::{StateDict, TorchNames};
use crate::{Backbone, FeatureMap, ModelError};

list!(ClassifierConfig);

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

    /// Whether the network brings ImageNet's normalisation to another one; none where it has no such option.
    fn transforms_input(_: &Self::Config) -> Option<bool> {
        None
    }

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

macro_rules! zoo {
    ($(#[$doc:meta] $file:ident::$family:ident {
        $($variant:ident $name:ident $published:ident),+ $(,)?
    })+) => {
        /// A classifier as a recipe names it: `model = "resnet18"`, or with options
        /// `model = { lenet = { dropout = 0.25 } }`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[allow(non_camel_case_types, reason = "the published names have their underscores")]
        pub enum ClassifierConfig {
            $($(
                #[$doc]
                $variant(<$file::$family as Architecture>::Config),
            )+)+
        }

        /// A classifier of any architecture.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one classifier at a time; Module is not implemented for Box")]
        pub enum Classifier {
            $(#[$doc] $family($file::$family),)+
        }

        impl Family for ClassifierConfig {
            const TASK: &'static str = "classification";
            type Model = Classifier;

            fn registry() -> Vec<Entry<Self>> {
                vec![$($(Entry {
                    name: stringify!($name),
                    family: stringify!($family),
                    parameters: $file::$published.parameters,
                    input: $file::$published.input,
                    classes: $file::$published.classes,
                    minimum: $file::$published.minimum,
                    config: ClassifierConfig::$variant(Default::default()),
                },)+)+]
            }

            fn for_weights(
                name: &str,
                _: &StateDict,
                input: InputSpec,
                classes: Option<usize>,
                device: &Device,
            ) -> Result<Classifier, ModelError> {
                let config = Self::named(name)?;
                let published = match &config { $($(Self::$variant(_) => $file::$published.classes,)+)+ };
                config.init(input, classes.unwrap_or(published), device)
            }
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
                match self { $($(Self::$variant(_) => stringify!($name),)+)+ }
            }

            /// What is wrong with the options: `(key inside the model's table, message)` pairs.
            pub fn problems(&self) -> Vec<(String, String)> {
                match self {
                    $($(Self::$variant(config) => <$file::$family as Architecture>::problems(config),)+)+
                }
            }

            /// Whether the network brings ImageNet's normalisation to another one; none where it has no such option.
            pub fn transforms_input(&self) -> Option<bool> {
                match self {
                    $($(Self::$variant(config) => <$file::$family as Architecture>::transforms_input(config),)+)+
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

        each_architecture!(Classifier { $($family: $file::$family)+ } each);

        /// Hands the names of all classifiers, under the file of each architecture, to a macro. The first of each
        /// architecture is its smallest.
        #[macro_export]
        macro_rules! each_classifier {
            ($callback:ident) => { $callback! { $($file { $($name)+ })+ } };
        }
    };
}

zoo! {
    /// LeNet-5 (LeCun et al. 1998), for small images.
    lenet::LeNet { Lenet lenet LENET }
    /// A small network of convolution blocks whose widths the recipe gives.
    cnn::Cnn { Cnn cnn CNN }
    /// The ResNet for CIFAR (He et al. 2015, section 4.2).
    resnet20::CifarResNet {
        Resnet20 resnet20 RESNET20,
        Resnet32 resnet32 RESNET32,
        Resnet44 resnet44 RESNET44,
        Resnet56 resnet56 RESNET56,
        Resnet110 resnet110 RESNET110,
    }
    /// ResNet, ResNeXt and Wide ResNet.
    resnet::ResNet {
        Resnet18 resnet18 RESNET18,
        Resnet34 resnet34 RESNET34,
        Resnet50 resnet50 RESNET50,
        Resnet101 resnet101 RESNET101,
        Resnet152 resnet152 RESNET152,
        Resnext50_32x4d resnext50_32x4d RESNEXT50_32X4D,
        Resnext101_32x8d resnext101_32x8d RESNEXT101_32X8D,
        Resnext101_64x4d resnext101_64x4d RESNEXT101_64X4D,
        WideResnet50_2 wide_resnet50_2 WIDE_RESNET50_2,
        WideResnet101_2 wide_resnet101_2 WIDE_RESNET101_2,
    }
    /// AlexNet.
    alexnet::AlexNet { Alexnet alexnet ALEXNET }
    /// VGG, with and without batch normalisation.
    vgg::Vgg {
        Vgg11 vgg11 VGG11,
        Vgg11Bn vgg11_bn VGG11_BN,
        Vgg13 vgg13 VGG13,
        Vgg13Bn vgg13_bn VGG13_BN,
        Vgg16 vgg16 VGG16,
        Vgg16Bn vgg16_bn VGG16_BN,
        Vgg19 vgg19 VGG19,
        Vgg19Bn vgg19_bn VGG19_BN,
    }
    /// DenseNet.
    densenet::DenseNet {
        Densenet121 densenet121 DENSENET121,
        Densenet161 densenet161 DENSENET161,
        Densenet169 densenet169 DENSENET169,
        Densenet201 densenet201 DENSENET201,
    }
    /// SqueezeNet.
    squeezenet::SqueezeNet {
        Squeezenet1_1 squeezenet1_1 SQUEEZENET1_1,
        Squeezenet1_0 squeezenet1_0 SQUEEZENET1_0,
    }
    /// MobileNet V2.
    mobilenet_v2::MobileNetV2 { MobilenetV2 mobilenet_v2 MOBILENET_V2 }
    /// EfficientNet and EfficientNet V2.
    efficientnet::EfficientNet {
        EfficientnetB0 efficientnet_b0 EFFICIENTNET_B0,
        EfficientnetB1 efficientnet_b1 EFFICIENTNET_B1,
        EfficientnetB2 efficientnet_b2 EFFICIENTNET_B2,
        EfficientnetB3 efficientnet_b3 EFFICIENTNET_B3,
        EfficientnetB4 efficientnet_b4 EFFICIENTNET_B4,
        EfficientnetB5 efficientnet_b5 EFFICIENTNET_B5,
        EfficientnetB6 efficientnet_b6 EFFICIENTNET_B6,
        EfficientnetB7 efficientnet_b7 EFFICIENTNET_B7,
        EfficientnetV2S efficientnet_v2_s EFFICIENTNET_V2_S,
        EfficientnetV2M efficientnet_v2_m EFFICIENTNET_V2_M,
        EfficientnetV2L efficientnet_v2_l EFFICIENTNET_V2_L,
    }
    /// GoogLeNet, with its auxiliary heads.
    googlenet::GoogLeNet { Googlenet googlenet GOOGLENET }
    /// Inception v3, with its auxiliary head.
    inception_v3::InceptionV3 { InceptionV3 inception_v3 INCEPTION_V3 }
    /// MobileNet V3.
    mobilenet_v3::MobileNetV3 {
        MobilenetV3Small mobilenet_v3_small MOBILENET_V3_SMALL,
        MobilenetV3Large mobilenet_v3_large MOBILENET_V3_LARGE,
    }
    /// MNASNet.
    mnasnet::MnasNet {
        Mnasnet0_5 mnasnet0_5 MNASNET0_5,
        Mnasnet0_75 mnasnet0_75 MNASNET0_75,
        Mnasnet1_0 mnasnet1_0 MNASNET1_0,
        Mnasnet1_3 mnasnet1_3 MNASNET1_3,
    }
    /// ShuffleNet V2.
    shufflenet_v2::ShuffleNetV2 {
        ShufflenetV2X0_5 shufflenet_v2_x0_5 SHUFFLENET_V2_X0_5,
        ShufflenetV2X1_0 shufflenet_v2_x1_0 SHUFFLENET_V2_X1_0,
        ShufflenetV2X1_5 shufflenet_v2_x1_5 SHUFFLENET_V2_X1_5,
        ShufflenetV2X2_0 shufflenet_v2_x2_0 SHUFFLENET_V2_X2_0,
    }
    /// RegNet X and Y.
    regnet::RegNet {
        RegnetX_400mf regnet_x_400mf REGNET_X_400MF,
        RegnetX_800mf regnet_x_800mf REGNET_X_800MF,
        RegnetX_1_6gf regnet_x_1_6gf REGNET_X_1_6GF,
        RegnetX_3_2gf regnet_x_3_2gf REGNET_X_3_2GF,
        RegnetX_8gf regnet_x_8gf REGNET_X_8GF,
        RegnetX_16gf regnet_x_16gf REGNET_X_16GF,
        RegnetX_32gf regnet_x_32gf REGNET_X_32GF,
        RegnetY_400mf regnet_y_400mf REGNET_Y_400MF,
        RegnetY_800mf regnet_y_800mf REGNET_Y_800MF,
        RegnetY_1_6gf regnet_y_1_6gf REGNET_Y_1_6GF,
        RegnetY_3_2gf regnet_y_3_2gf REGNET_Y_3_2GF,
        RegnetY_8gf regnet_y_8gf REGNET_Y_8GF,
        RegnetY_16gf regnet_y_16gf REGNET_Y_16GF,
        RegnetY_32gf regnet_y_32gf REGNET_Y_32GF,
    }
    /// ConvNeXt.
    convnext::ConvNext {
        ConvnextTiny convnext_tiny CONVNEXT_TINY,
        ConvnextSmall convnext_small CONVNEXT_SMALL,
        ConvnextBase convnext_base CONVNEXT_BASE,
        ConvnextLarge convnext_large CONVNEXT_LARGE,
    }
}

impl ClassifierConfig {
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
        let model = self.name();
        check(model, self.problems(), input, classes)?;
        let minimum = self.minimum();
        if input.height.min(input.width) < minimum {
            let (height, width) = (input.height, input.width);
            return Err(ModelError::InputTooSmall {
                model: model.to_string(),
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

impl NamedOutputs for Classifier {
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)> {
        vec![("output".to_string(), self.forward(input).into_data())]
    }
}

/// Whether the input has the three channels that an option of ImageNet's normalisation is about.
pub(crate) fn check_transform_input(
    model: &str,
    asked: bool,
    input: InputSpec,
) -> Result<(), ModelError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let gray = InputSpec::gray(28);
        assert!(matches!(
            lenet.init(gray, 0, &device),
            Err(ModelError::NoClasses { .. })
        ));
        let tiny = InputSpec::gray(3);
        assert!(matches!(
            lenet.init(tiny, 10, &device),
            Err(ModelError::InputTooSmall { .. })
        ));
        let text = r#"{"lenet": {"dropout": 1.5}}"#;
        let wild: ClassifierConfig = serde_json::from_str(text).unwrap();
        assert!(matches!(
            wild.init(gray, 10, &device),
            Err(ModelError::Option { .. })
        ));
        assert!(serde_json::from_str::<ClassifierConfig>(r#"{"lenet": {"drop": 0.5}}"#).is_err());
    }
}
