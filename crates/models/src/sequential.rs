//! Lists of layers whose entries carry the names of a published state dict.
//!
//! Torchvision builds most of its networks from `nn.Sequential`, whose entries are numbered (`features.0.weight`)
//! with gaps where a layer has no parameters, or named with characters that no Rust identifier can hold
//! (`trunk_output.block1.block1-0`). [`Named`] keeps the published name beside each entry and hands that name to
//! Burn's visitors, so that parameter paths are the state-dict keys themselves and no table of renamings is needed.
//! [`Layer`] is what stands in such a list; its variants add nothing to the path.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_kernels::Activation;
//! use firesight_models::layers::conv;
//! use firesight_models::sequential::{Act, Layer, Sequential};
//!
//! let device = Device::default();
//! let stem: Sequential = Sequential::new(vec![
//!     ("conv0", Layer::Conv(conv(3, 8, 3).padding(1).init(&device))),
//!     ("relu0", Layer::Act(Act::new(Activation::Relu))),
//! ]);
//! let y = stem.forward(Tensor::ones([1, 3, 4, 4], &device));
//! assert_eq!(y.dims(), [1, 8, 4, 4]);
//! assert!(y.min().into_scalar::<f32>() >= 0.0);
//! ```

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AvgPool2d, MaxPool2d};
use burn::nn::{BatchNorm, Dropout, LayerNorm, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{
    Activation, activation, avg_pool2d, batch_norm, batch_norm_act, batch_norm_add_act, conv2d,
    conv2d_norm_act, linear, max_pool2d,
};

use crate::backbone::FeatureMap;
use crate::blocks::{SqueezeExcitation, layer_norm_2d};

/// Modules in order, each under the name that its parameters have in the published state dict.
#[derive(Clone, Debug)]
pub struct Named<T>(Vec<(String, T)>);

/// Layers applied one after the other: torch's `nn.Sequential`. `B` is the one kind of block that is particular
/// to the network.
pub type Sequential<B = NoBlock> = Named<Layer<B>>;

/// The fully connected layers at the end of a classifier.
pub type Head = Named<HeadLayer>;

/// A part of a network that takes and gives feature maps, for use in a [`Sequential`].
pub trait Block: Module + ModuleDisplay {
    /// Applies the block.
    ///
    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - output: `[N, out_channels(), H / stride(), W / stride()]`, rounded as the block's convolutions round
    fn forward(&self, x: Tensor<4>) -> Tensor<4>;

    /// By how much the block shrinks height and width.
    fn stride(&self) -> usize;

    /// Channels of the output.
    fn out_channels(&self) -> usize;
}

/// One entry of a [`Sequential`].
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one value per layer; Module is not implemented for Box"
)]
pub enum Layer<B = NoBlock> {
    /// Convolution.
    Conv(Conv2d),
    /// Batch normalisation; computed together with an activation that follows it.
    Norm(BatchNorm),
    /// Layer normalisation over the channels of each position.
    LayerNorm(LayerNorm),
    /// Element-wise activation.
    Act(Act),
    /// Maximum pooling.
    MaxPool(MaxPool2d),
    /// Average pooling.
    AvgPool(AvgPool2d),
    /// Squeeze and excitation.
    SqueezeExcitation(SqueezeExcitation),
    /// Layers inside one entry.
    Sequential(Sequential<B>),
    /// The network's own block.
    Block(B),
}

/// One entry of a [`Head`].
#[derive(Clone, Debug)]
pub enum HeadLayer {
    /// Fully connected layer.
    Linear(Linear),
    /// Dropout.
    Dropout(Dropout),
    /// Element-wise activation.
    Act(Act),
}

/// An activation as a module of its own, without parameters.
#[derive(Module, Debug)]
pub struct Act {
    #[module(skip)]
    kind: Activation,
}

/// The place of a layer without parameters in a tuple of layers, so that the ones after it keep their numbers.
#[derive(Clone, Debug, Default)]
pub struct Blank;

/// The block of a [`Sequential`] that has none.
#[derive(Clone, Debug)]
pub enum NoBlock {}

impl<T> Named<T> {
    /// Entries named `0`, `1`, ...: torch's numbering.
    pub fn numbered(entries: Vec<T>) -> Self {
        let named = entries.into_iter().enumerate();
        Self(named.map(|(i, entry)| (i.to_string(), entry)).collect())
    }

    /// Entries under the given names.
    pub fn new<S: Into<String>>(entries: Vec<(S, T)>) -> Self {
        Self(entries.into_iter().map(|(n, e)| (n.into(), e)).collect())
    }

    /// The entries with their names, in order.
    pub fn entries(&self) -> &[(String, T)] {
        &self.0
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, entry)| entry)
    }
}

impl<B: Block> Sequential<B> {
    /// Applies the layers in order.
    ///
    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - output: `[N, C_out, H_out, W_out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        run(&self.0, x)
    }

    /// What comes out of the first `ends[0]` entries, the first `ends[1]`, and so on, and of all of them.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`
    /// - `ends`: rising
    /// - output: one `[N, C', H', W']` for each end, and one more
    pub fn forward_stages<const N: usize>(
        &self,
        x: Tensor<4>,
        ends: [usize; N],
    ) -> ([Tensor<4>; N], Tensor<4>) {
        let (mut x, mut start) = (x, 0);
        let parts = ends.map(|end| {
            x = run(&self.0[start..end], x.clone());
            start = end;
            x.clone()
        });
        (parts, run(&self.0[start..], x))
    }

    /// `act(layers(x) + residual)`: the end of a residual block, the addition done together with a batch
    /// normalisation that stands last.
    ///
    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - `residual` and output: `[N, C_out, H_out, W_out]`
    pub fn forward_residual(
        &self,
        x: Tensor<4>,
        residual: Tensor<4>,
        act: Activation,
    ) -> Tensor<4> {
        match self.0.split_last() {
            Some(((_, Layer::Norm(norm)), before)) => {
                batch_norm_add_act(norm, run(before, x), residual, act)
            }
            Some(((_, Layer::Sequential(last)), before)) => {
                last.forward_residual(run(before, x), residual, act)
            }
            _ => activation(act, run(&self.0, x) + residual),
        }
    }

    /// Applies the layers and returns the last map of each stride, from fine to coarse: what stands before each
    /// layer that shrinks, and the output. `stride` is that of `x` itself.
    ///
    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - output: one `[N, channels, H', W']` for each of [`Self::feature_channels`]
    pub fn feature_maps(&self, x: Tensor<4>, mut stride: usize) -> Vec<FeatureMap> {
        let (mut x, mut at, mut maps) = (x, 0, Vec::new());
        while at < self.0.len() {
            let used;
            (x, used) = step(&self.0[at..], x);
            stride *= self.0[at].1.stride();
            at += used;
            if self.shrinks_or_ends(at) {
                maps.push(FeatureMap {
                    stride,
                    tensor: x.clone(),
                });
            }
        }
        maps
    }

    /// `(stride, channels)` of each map of [`Self::feature_maps`].
    pub fn feature_channels(&self, mut stride: usize) -> Vec<(usize, usize)> {
        let (mut channels, mut maps) = (0, Vec::new());
        for (at, layer) in self.iter().enumerate() {
            stride *= layer.stride();
            channels = layer.out_channels(channels);
            if self.shrinks_or_ends(at + 1) {
                maps.push((stride, channels));
            }
        }
        maps
    }

    /// Product of the layers' strides.
    pub fn stride(&self) -> usize {
        self.iter().map(Layer::stride).product()
    }

    /// Channels of the output for an input of `channels`.
    pub fn out_channels(&self, channels: usize) -> usize {
        self.iter().fold(channels, |c, layer| layer.out_channels(c))
    }

    fn shrinks_or_ends(&self, at: usize) -> bool {
        self.0.get(at).is_none_or(|(_, next)| next.stride() > 1)
    }
}

impl Head {
    /// Applies the layers in order.
    ///
    /// # Shapes
    /// - `x`: `[N, features]`
    /// - output: `[N, classes]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.iter().fold(x, |x, layer| layer.forward(x))
    }

    /// What the last layer sees.
    ///
    /// # Shapes
    /// - `x`: `[N, features]`
    /// - output: `[N, features of the last layer]`
    pub fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let before_last = self.0.len().saturating_sub(1);
        self.iter()
            .take(before_last)
            .fold(x, |x, layer| layer.forward(x))
    }
}

impl HeadLayer {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Linear(fc) => linear(fc, x),
            Self::Dropout(dropout) => dropout.forward(x),
            Self::Act(act) => activation(act.kind, x),
        }
    }
}

impl<B: Block> Layer<B> {
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv2d(conv, x),
            Self::Norm(norm) => batch_norm(norm, x),
            Self::LayerNorm(norm) => layer_norm_2d(norm, x),
            Self::Act(act) => activation(act.kind, x),
            Self::MaxPool(pool) => max_pool2d(pool, x),
            Self::AvgPool(pool) => avg_pool2d(pool, x),
            Self::SqueezeExcitation(block) => block.forward(x),
            Self::Sequential(layers) => layers.forward(x),
            Self::Block(block) => block.forward(x),
        }
    }

    fn stride(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.stride[0],
            Self::MaxPool(pool) => pool.stride[0],
            Self::AvgPool(pool) => pool.stride[0],
            Self::Sequential(layers) => layers.stride(),
            Self::Block(block) => block.stride(),
            Self::Norm(_) | Self::LayerNorm(_) | Self::Act(_) | Self::SqueezeExcitation(_) => 1,
        }
    }

    pub(crate) fn out_channels(&self, channels: usize) -> usize {
        match self {
            Self::Conv(conv) => conv.weight.lazy_shape()[0],
            Self::Sequential(layers) => layers.out_channels(channels),
            Self::Block(block) => block.out_channels(),
            _ => channels,
        }
    }
}

impl Act {
    /// The activation `kind` as a layer.
    pub fn new(kind: Activation) -> Self {
        Self { kind }
    }
}

pub(crate) fn run<B: Block>(layers: &[(String, Layer<B>)], x: Tensor<4>) -> Tensor<4> {
    let (mut x, mut at) = (x, 0);
    while at < layers.len() {
        let used;
        (x, used) = step(&layers[at..], x);
        at += used;
    }
    x
}

/// Applies the first layer, and with it those behind it that a kernel does as well; says how many it applied.
fn step<B: Block>(layers: &[(String, Layer<B>)], x: Tensor<4>) -> (Tensor<4>, usize) {
    match layers {
        [
            (_, Layer::Conv(conv)),
            (_, Layer::Norm(norm)),
            (_, Layer::Act(act)),
            ..,
        ] => (conv2d_norm_act(conv, norm, x, act.kind), 3),
        [(_, Layer::Conv(conv)), (_, Layer::Norm(norm)), ..] => {
            (conv2d_norm_act(conv, norm, x, Activation::Identity), 2)
        }
        [(_, Layer::Norm(norm)), (_, Layer::Act(act)), ..] => {
            (batch_norm_act(norm, x, act.kind), 2)
        }
        [(_, layer), ..] => (layer.forward(x), 1),
        [] => (x, 0),
    }
}

impl Block for NoBlock {
    fn forward(&self, _: Tensor<4>) -> Tensor<4> {
        match *self {}
    }

    fn stride(&self) -> usize {
        match *self {}
    }

    fn out_channels(&self) -> usize {
        match *self {}
    }
}

// Burn's side: what `#[derive(Module)]` would write, with the names of the entries in the path and nothing else.

impl<T: Module> Module for Named<T> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, entry) in &self.0 {
            visitor.enter_module(name, "Vec");
            entry.visit(visitor);
            visitor.exit_module(name, "Vec");
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.rebuild(|name, entry| {
            mapper.enter_module(name, "Vec");
            let mapped = entry.map(mapper);
            mapper.exit_module(name, "Vec");
            mapped
        })
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        self.iter()
            .fold(devices, |d, entry| entry.collect_devices(d))
    }

    fn to_device(self, device: &Device) -> Self {
        self.rebuild(|_, entry| entry.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.rebuild(|_, entry| entry.fork(device))
    }

    fn valid(&self) -> Self {
        Self(
            self.0
                .iter()
                .map(|(n, entry)| (n.clone(), entry.valid()))
                .collect(),
        )
    }

    fn train(self) -> Self {
        self.rebuild(|_, entry| entry.train())
    }

    fn materialize(self) -> Self {
        self.rebuild(|_, entry| entry.materialize())
    }
}

impl<T> Named<T> {
    fn rebuild(self, mut change: impl FnMut(&str, T) -> T) -> Self {
        let entries = self.0.into_iter();
        Self(
            entries
                .map(|(name, entry)| {
                    let entry = change(&name, entry);
                    (name, entry)
                })
                .collect(),
        )
    }
}

impl<T: ModuleDisplay> ModuleDisplayDefault for Named<T> {
    fn content(&self, content: Content) -> Option<Content> {
        let content = content.set_top_level_type("Sequential");
        let entries = self.0.iter();
        entries
            .fold(content, |c, (name, entry)| c.add(name, entry))
            .optional()
    }
}

impl<T: ModuleDisplay> ModuleDisplay for Named<T> {}

/// Implements Burn's traits for an enum of modules whose variants add nothing to a parameter's path.
macro_rules! transparent_module {
    ($name:ident $(<$block:ident>)? { $($variant:ident),+ }) => {
        impl$(<$block: Block>)? Module for $name$(<$block>)? {
            fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                match self { $(Self::$variant(module) => module.visit(visitor)),+ }
            }

            fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.map(mapper))),+ }
            }

            fn collect_devices(&self, devices: Devices) -> Devices {
                match self { $(Self::$variant(module) => module.collect_devices(devices)),+ }
            }

            fn to_device(self, device: &Device) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.to_device(device))),+ }
            }

            fn fork(self, device: &Device) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.fork(device))),+ }
            }

            fn valid(&self) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.valid())),+ }
            }

            fn train(self) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.train())),+ }
            }

            fn materialize(self) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.materialize())),+ }
            }
        }

        impl$(<$block: Block>)? ModuleDisplayDefault for $name$(<$block>)? {
            fn content(&self, content: Content) -> Option<Content> {
                match self { $(Self::$variant(module) => content.add_single(module).optional()),+ }
            }
        }

        impl$(<$block: Block>)? ModuleDisplay for $name$(<$block>)? {}
    };
}

transparent_module!(Layer<B> {
    Conv, Norm, LayerNorm, Act, MaxPool, AvgPool, SqueezeExcitation, Sequential, Block
});
transparent_module!(HeadLayer {
    Linear,
    Dropout,
    Act
});

impl Module for NoBlock {
    burn::empty!(module);
}

impl ModuleDisplayDefault for NoBlock {
    fn content(&self, _: Content) -> Option<Content> {
        match *self {}
    }
}

impl ModuleDisplay for NoBlock {}

impl Module for Blank {
    burn::empty!(module);
}

impl ModuleDisplayDefault for Blank {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"-").optional()
    }
}

impl ModuleDisplay for Blank {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::max_pool;
    use crate::layers::{Init, conv};
    use crate::style::Style;
    use burn::module::Param;
    use burn::tensor::Distribution;

    const STYLE: Style = Style::new(Init::KaimingFanOut);

    fn relu() -> Layer {
        Layer::Act(Act::new(Activation::Relu))
    }

    fn random(shape: [usize; 4], device: &Device) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
    }

    fn largest_difference(a: Tensor<4>, b: Tensor<4>) -> f32 {
        (a - b).abs().max().into_scalar::<f32>()
    }

    #[test]
    fn paths_are_the_names_of_the_entries() {
        #[derive(Default)]
        struct Paths(Vec<String>, Vec<String>);
        impl ModuleVisitor for Paths {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.0.push(name.to_string());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
                self.1.push(self.0.join("."));
            }
        }
        let device = Device::flex();
        let inner = Sequential::new(vec![("block1-0", STYLE.conv(conv(2, 2, 1), &device))]);
        let outer: Sequential = Sequential::numbered(vec![
            relu(),
            Layer::Sequential(inner),
            STYLE.norm(2, &device),
        ]);
        let mut paths = Paths::default();
        outer.visit(&mut paths);
        let expected = [
            "1.block1-0.weight",
            "1.block1-0.bias",
            "2.gamma",
            "2.beta",
            "2.running_mean",
            "2.running_var",
        ];
        assert_eq!(paths.1, expected);
        let mapped = Paths::default().1;
        assert!(mapped.is_empty() && Module::num_params(&outer) == 14);
    }

    #[test]
    fn a_residual_is_added_before_the_activation_whatever_stands_last() {
        let device = Device::flex();
        device.seed(5);
        let x = random([2, 3, 6, 6], &device);
        let conv_norm = || STYLE.conv_norm(conv(3, 3, 3).padding(1), &device);
        let nested = STYLE.sequential(conv(3, 3, 1), Activation::Identity, &device);
        let lists: [Sequential; 3] = [
            Sequential::numbered(conv_norm().into()),
            Sequential::numbered(vec![relu(), Layer::Sequential(nested)]),
            Sequential::numbered(vec![relu()]),
        ];
        for layers in lists {
            let fused = layers.forward_residual(x.clone(), x.clone(), Activation::Relu);
            let plain = activation(Activation::Relu, layers.forward(x.clone()) + x.clone());
            assert!(largest_difference(fused, plain) < 1e-5);
        }
    }

    #[test]
    fn maps_are_the_last_of_each_stride() {
        let device = Device::flex();
        let mut layers = Vec::from(STYLE.conv_norm(conv(3, 4, 3).stride(2).padding(1), &device));
        layers.extend([relu(), Layer::MaxPool(max_pool(2, 2, 0, false)), relu()]);
        layers.push(STYLE.conv_norm_act(conv(4, 6, 1), Activation::Relu, &device));
        let layers: Sequential = Sequential::numbered(layers);
        assert_eq!(layers.feature_channels(1), [(2, 4), (4, 6)]);
        let x = random([1, 3, 16, 16], &device);
        let maps = layers.feature_maps(x.clone(), 1);
        let shapes: Vec<_> = maps.iter().map(|m| (m.stride, m.tensor.dims())).collect();
        assert_eq!(shapes, [(2, [1, 4, 8, 8]), (4, [1, 6, 4, 4])]);
        assert_eq!(
            layers.forward(x).into_data(),
            maps[1].tensor.clone().into_data()
        );
        // The first map is what the pooling sees, after the activation.
        assert!(maps[0].tensor.clone().min().into_scalar::<f32>() >= 0.0);
    }

    #[test]
    fn the_features_of_a_head_are_what_its_last_layer_sees() {
        let device = Device::flex();
        let linear = |i, o| HeadLayer::Linear(crate::layers::linear(i, o, Init::Default, &device));
        let head = Head::numbered(vec![linear(3, 5), linear(5, 2)]);
        let x = Tensor::<2>::ones([4, 3], &device);
        assert_eq!(head.features(x.clone()).dims(), [4, 5]);
        assert_eq!(head.forward(x).dims(), [4, 2]);
    }
}
