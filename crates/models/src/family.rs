//! What the families of models share: one list names a family's members, and the enum that a recipe names, the
//! registry, the model of any architecture and the suites over every member follow from it.
//!
//! ```
//! use firesight_models::segmentation::{SegmenterConfig, registry};
//!
//! let entries = registry();
//! let unet = entries.iter().find(|entry| entry.name == "unet").unwrap();
//! assert_eq!((unet.family, unet.classes), ("Unet", 21));
//! let unknown = SegmenterConfig::named("u_net").unwrap_err();
//! assert!(unknown.to_string().contains("did you mean `unet`?"));
//! ```

use burn::tensor::Device;

use crate::tags::Tag;
use crate::verify::NamedOutputs;
use crate::weights::{StateDict, TorchNames};
use crate::{InputSpec, ModelError};

/// One line of a family's list.
#[derive(Clone, Debug)]
pub struct Entry<C> {
    /// What a recipe writes: the published name, or the paper's where there is none.
    pub name: &'static str,
    /// The architecture it belongs to.
    pub family: &'static str,
    /// The number of parameters (running statistics not counted) at `input` and `classes`.
    pub parameters: usize,
    /// The input it was published for.
    pub input: InputSpec,
    /// The number of classes it was published for; 0 for a generator, which is told none.
    pub classes: usize,
    /// The smallest side in pixels of an input.
    pub minimum: usize,
    /// The model with its default options.
    pub config: C,
}

/// A family, as the configs that a recipe names.
pub trait Family: Clone {
    /// What the models are for.
    const TASK: &'static str;
    /// A model of any architecture.
    type Model: TorchNames + NamedOutputs;

    /// Every member, in the list's order.
    fn registry() -> Vec<Entry<Self>>;

    /// The network that weights were saved from: the options that show in their keys are taken from there.
    ///
    /// # Errors
    /// [`ModelError`] for input or classes that the network cannot have, and weights of another one.
    fn for_weights(
        name: &str,
        weights: &StateDict,
        input: InputSpec,
        classes: Option<usize>,
        device: &Device,
    ) -> Result<Self::Model, ModelError>;

    /// The network as published weights want it run.
    fn as_published(model: Self::Model, _: &Tag) -> Self::Model {
        model
    }
}

/// A member of a list: the options that a recipe gives it, and the architecture's own config that they stand for.
#[derive(Clone, Copy, Debug)]
pub struct PublishedModel<O: 'static, C: 'static> {
    /// The number of parameters for RGB images and the number of classes that it was published for.
    pub parameters: usize,
    /// From the one to the other.
    pub config: fn(&O) -> C,
}

/// A network that a list names: how it is made.
pub trait Member: TorchNames + Sized {
    /// All that can be asked of it.
    type Config;

    /// The number of classes that it was published for, where it is not its family's.
    const CLASSES: Option<usize> = None;

    /// What is wrong with the options: `(key inside the model's table, message)` pairs.
    fn problems(config: &Self::Config) -> Vec<(String, String)>;

    /// The smallest side in pixels of an input.
    fn minimum(config: &Self::Config) -> usize;

    /// The config with the parts that weights were saved with, where published ones come with and without.
    fn fit(config: Self::Config, _: &StateDict) -> Self::Config {
        config
    }

    /// Makes the network, called `model` in errors, with freshly drawn parameters; options, channels and classes have
    /// been checked.
    ///
    /// # Errors
    /// [`ModelError`] for a combination that the network cannot have.
    fn build(
        model: &'static str,
        config: &Self::Config,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError>;
}

/// The member of that name with its default options.
pub(crate) fn named<C: Clone>(entries: &[Entry<C>], name: &str) -> Result<C, ModelError> {
    let found = entries.iter().find(|entry| entry.name == name);
    let names = || entries.iter().map(|entry| entry.name);
    found
        .map(|entry| entry.config.clone())
        .ok_or_else(|| ModelError::unknown(name, names()))
}

/// What is wrong with options, channels or classes, whatever the model.
pub(crate) fn check(
    model: &'static str,
    problems: Vec<(String, String)>,
    input: InputSpec,
    classes: usize,
) -> Result<(), ModelError> {
    let model = model.to_string();
    if let Some((key, message)) = problems.into_iter().next() {
        return Err(ModelError::Option {
            model,
            key,
            message,
        });
    }
    match (input.channels, classes) {
        (0, _) => Err(ModelError::NoChannels { model }),
        (_, 0) => Err(ModelError::NoClasses { model }),
        _ => Ok(()),
    }
}

/// Names a family's members: an enum of configs, an enum of models, and what both answer for every architecture.
///
/// A line `Variant(Options) name PUBLISHED` needs in `file` the architecture, a [`Member`], and `PUBLISHED`, a
/// [`PublishedModel`]; `name` is the variant in snake case.
macro_rules! family {
    (
        $(#[$config_doc:meta])* $Config:ident, $(#[$model_doc:meta])* $Model:ident,
        $(#[$each_doc:meta])* $each_member:ident, $task:literal with $classes:literal classes
        $(, and $hook:ident)?;
        $($(#[$family_doc:meta])* $file:ident::$family:ident {
            $($(#[$doc:meta])* $variant:ident($options:ty) $name:ident $published:ident),+ $(,)?
        })+
    ) => {
        $(#[$config_doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $Config {
            $($($(#[$doc])* $variant($options),)+)+
        }

        $(#[$model_doc])*
        #[derive(burn::module::Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "one model at a time; Module is not implemented for Box")]
        pub enum $Model {
            $($(#[$family_doc])* $family($file::$family),)+
        }

        /// An architecture with all of its options.
        enum Resolved {
            $($family(<$file::$family as $crate::family::Member>::Config),)+
        }

        /// Calls a function of an architecture on its config.
        macro_rules! each_config {
            ($resolved:expr, $network:ident, $config:ident => $call:expr) => {
                match $resolved {
                    $(Resolved::$family($config) => {
                        type $network = $file::$family;
                        $call
                    })+
                }
            };
        }

        $crate::family::list!($Config);

        impl $Config {
            /// The model's name in the registry.
            pub fn name(&self) -> &'static str {
                match self { $($(Self::$variant(_) => stringify!($name),)+)+ }
            }

            fn resolve(&self) -> Resolved {
                match self {
                    $($(Self::$variant(options) => Resolved::$family(($file::$published.config)(options)),)+)+
                }
            }

            /// What is wrong with the options: `(key inside the model's table, message)` pairs.
            pub fn problems(&self) -> Vec<(String, String)> {
                each_config!(self.resolve(), Network, config => <Network as $crate::family::Member>::problems(&config))
            }

            /// The smallest side in pixels of an input.
            pub fn minimum(&self) -> usize {
                each_config!(self.resolve(), Network, config => <Network as $crate::family::Member>::minimum(&config))
            }

            /// Makes the network with freshly drawn parameters.
            ///
            /// # Errors
            /// [`ModelError`](crate::ModelError) for options out of range, no class, no channel, or a backbone that
            /// does not serve.
            pub fn init(
                &self,
                input: $crate::InputSpec,
                classes: usize,
                device: &burn::tensor::Device,
            ) -> Result<$Model, $crate::ModelError> {
                self.resolve().init(self.name(), input, classes, device)
            }
        }

        impl Resolved {
            fn init(
                self,
                model: &'static str,
                input: $crate::InputSpec,
                classes: usize,
                device: &burn::tensor::Device,
            ) -> Result<$Model, $crate::ModelError> {
                each_config!(self, Network, config => {
                    let problems = <Network as $crate::family::Member>::problems(&config);
                    $crate::family::check(model, problems, input, classes)?;
                    let network = <Network as $crate::family::Member>::build(model, &config, input, classes, device);
                    network.map($Model::from)
                })
            }

            /// The number of classes that it was published for.
            fn classes(&self) -> usize {
                match self {
                    $(Self::$family(_) => <$file::$family as $crate::family::Member>::CLASSES.unwrap_or($classes),)+
                }
            }

            /// With the parts that weights were saved with.
            fn fit(self, weights: &$crate::weights::StateDict) -> Self {
                match self {
                    $(Self::$family(config) => {
                        Self::$family(<$file::$family as $crate::family::Member>::fit(config, weights))
                    })+
                }
            }
        }

        impl $crate::family::Family for $Config {
            const TASK: &'static str = $task;
            type Model = $Model;

            fn registry() -> Vec<$crate::family::Entry<Self>> {
                let configs = [$($((
                    stringify!($family),
                    $file::$published.parameters,
                    <$file::$family as $crate::family::Member>::CLASSES.unwrap_or($classes),
                    Self::$variant(Default::default()),
                ),)+)+];
                let entry = |(family, parameters, classes, config): (_, _, _, Self)| $crate::family::Entry {
                    name: config.name(),
                    family,
                    parameters,
                    input: $crate::InputSpec::rgb(224),
                    classes,
                    minimum: config.minimum(),
                    config,
                };
                configs.into_iter().map(entry).collect()
            }

            fn for_weights(
                name: &str,
                weights: &$crate::weights::StateDict,
                input: $crate::InputSpec,
                classes: Option<usize>,
                device: &burn::tensor::Device,
            ) -> Result<$Model, $crate::ModelError> {
                let config = Self::named(name)?;
                let resolved = config.resolve().fit(weights);
                let classes = classes.unwrap_or_else(|| resolved.classes());
                resolved.init(config.name(), input, classes, device)
            }

            $(fn as_published(model: $Model, tag: &$crate::tags::Tag) -> $Model {
                $hook(model, tag)
            })?
        }

        $crate::family::each_architecture!($Model { $($family: $file::$family)+ } each);

        $(#[$each_doc])*
        #[macro_export]
        macro_rules! $each_member {
            ($callback:ident) => { $callback! { $($file { $($name)+ })+ } };
        }
    };
}

/// For an enum of architectures: the way into it, the names of its parameters, and a macro that calls a function of the
/// one inside.
macro_rules! each_architecture {
    ($Model:ident { $($variant:ident: $file:ident::$network:ident)+ } $each:ident) => {
        $(impl From<$file::$network> for $Model {
            fn from(model: $file::$network) -> Self {
                Self::$variant(model)
            }
        })+

        impl $crate::weights::TorchNames for $Model {
            fn torch_name(&self, path: &str) -> String {
                match self { $(Self::$variant(model) => model.torch_name(path),)+ }
            }

            fn head(&self) -> &'static [&'static str] {
                match self { $(Self::$variant(model) => model.head(),)+ }
            }

            fn published_key(&self, key: &str) -> String {
                match self { $(Self::$variant(model) => model.published_key(key),)+ }
            }
        }

        /// Calls a function of the architecture inside.
        macro_rules! $each {
            ($self:expr, $model:ident => $call:expr) => {
                match $self { $($Model::$variant($model) => $call,)+ }
            };
        }
    };
}

/// The members of a family for those who know its config alone.
macro_rules! list {
    ($Config:ident) => {
        /// Every member, in the list's order.
        pub fn registry() -> Vec<$crate::family::Entry<$Config>> {
            <$Config as $crate::family::Family>::registry()
        }

        impl $Config {
            /// The member of that name with its default options.
            ///
            /// # Errors
            /// [`ModelError::Unknown`](crate::ModelError::Unknown) with the nearest name.
            pub fn named(name: &str) -> Result<Self, $crate::ModelError> {
                $crate::family::named(&registry(), name)
            }
        }
    };
}

pub(crate) use {each_architecture, family, list};
