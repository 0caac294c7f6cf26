//! Layers of Burn made as PyTorch makes them, and the one that Burn lacks: stochastic depth.
//!
//! Burn's layer configs let one initialiser fill weight *and* bias, and its Kaiming fan-out divides
//! by the number of groups, which PyTorch's does not. The functions here give each parameter the
//! distribution that torchvision gives it. Values are drawn when a parameter is first used.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::layers::{Init, conv};
//!
//! let device = Device::default();
//! let stem = conv(3, 64, 7).stride(2).padding(3).no_bias().draw(Init::KaimingFanOut).init(&device);
//! let x = Tensor::<4>::zeros([1, 3, 32, 32], &device);
//! assert_eq!(firesight_kernels::conv2d(&stem, x).dims(), [1, 64, 16, 16]);
//! ```

use burn::module::{Flag, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear, LinearConfig,
    PaddingConfig2d,
};
use burn::tensor::{Device, Distribution, Tensor};

/// How the weight (and the bias) of a convolution or a linear layer is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Init {
    /// PyTorch's default: weight and bias uniform within `1 / sqrt(fan_in)`.
    #[default]
    Default,
    /// `kaiming_normal_(mode="fan_out", nonlinearity="relu")`, bias 0.
    KaimingFanOut,
    /// `kaiming_normal_(mode="fan_in", nonlinearity="relu")`, bias 0.
    KaimingFanIn,
    /// `kaiming_uniform_(mode="fan_in", nonlinearity="relu")`, bias 0.
    KaimingUniformFanIn,
    /// `kaiming_uniform_(mode="fan_out", nonlinearity="sigmoid")`, bias 0.
    KaimingUniformFanOutSigmoid,
    /// `normal_(0, std)`, bias 0. Also torchvision's truncated normals, which are cut at an
    /// absolute 2, that is at 20 standard deviations and more.
    Normal(f64),
    /// `normal_(0, std)`, the bias at PyTorch's default.
    NormalWeight(f64),
    /// `uniform_(-bound, bound)`, bias 0.
    Uniform(f64),
}

impl Init {
    /// The weight's initialiser; `None` leaves PyTorch's default, which is Burn's too.
    fn weight(self, fan_in: usize, fan_out: usize) -> Option<Initializer> {
        let normal = |std| Some(Initializer::Normal { mean: 0.0, std });
        let uniform = |bound: f64| {
            Some(Initializer::Uniform {
                min: -bound,
                max: bound,
            })
        };
        match self {
            Init::Default => None,
            Init::KaimingFanOut => normal((2.0 / fan_out as f64).sqrt()),
            Init::KaimingFanIn => normal((2.0 / fan_in as f64).sqrt()),
            Init::KaimingUniformFanIn => uniform((6.0 / fan_in as f64).sqrt()),
            Init::KaimingUniformFanOutSigmoid => uniform((3.0 / fan_out as f64).sqrt()),
            Init::Normal(std) | Init::NormalWeight(std) => normal(std),
            Init::Uniform(bound) => uniform(bound),
        }
    }

    fn keeps_default_bias(self) -> bool {
        matches!(self, Init::Default | Init::NormalWeight(_))
    }
}

/// A convolution in PyTorch's terms: `conv(64, 128, 3).stride(2).padding(1).no_bias().init(&device)`.
///
/// Stride, dilation and groups are 1 and padding is 0 unless set; there is a bias unless refused.
#[derive(Clone, Debug)]
pub struct ConvSpec {
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: usize,
    groups: usize,
    bias: bool,
    draw: Init,
}

/// A convolution from `input` to `output` channels with a square kernel.
pub fn conv(input: usize, output: usize, kernel: usize) -> ConvSpec {
    conv_rect(input, output, [kernel, kernel])
}

/// A convolution with a kernel of `[height, width]`.
pub fn conv_rect(input: usize, output: usize, kernel: [usize; 2]) -> ConvSpec {
    ConvSpec {
        channels: [input, output],
        kernel,
        stride: [1, 1],
        padding: [0, 0],
        dilation: 1,
        groups: 1,
        bias: true,
        draw: Init::Default,
    }
}

impl ConvSpec {
    /// The same stride in both directions.
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride, stride];
        self
    }

    /// The same number of zeros on all four sides.
    pub fn padding(self, padding: usize) -> Self {
        self.padding_rect([padding, padding])
    }

    /// Zeros above and below, and zeros left and right.
    pub fn padding_rect(mut self, padding: [usize; 2]) -> Self {
        self.padding = padding;
        self
    }

    /// Spacing between the kernel's taps.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self
    }

    /// Channel groups that do not see each other.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// No bias.
    pub fn no_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// How the parameters are drawn.
    pub fn draw(mut self, draw: Init) -> Self {
        self.draw = draw;
        self
    }

    /// Makes the layer.
    ///
    /// # Panics
    /// When `groups` does not divide both channel counts, a mistake of the architecture's author.
    pub fn init(self, device: &Device) -> Conv2d {
        let [input, output] = self.channels;
        let [kh, kw] = self.kernel;
        let mut layer = Conv2dConfig::new(self.channels, self.kernel)
            .with_stride(self.stride)
            .with_dilation([self.dilation, self.dilation])
            .with_groups(self.groups)
            .with_padding(PaddingConfig2d::Explicit(
                self.padding[0],
                self.padding[1],
                self.padding[0],
                self.padding[1],
            ))
            .with_bias(self.bias)
            .init(device);
        let fan_in = input / self.groups * kh * kw;
        if let Some(weight) = self.draw.weight(fan_in, output * kh * kw) {
            layer.weight = weight.init([output, input / self.groups, kh, kw], device);
        }
        if self.bias && !self.draw.keeps_default_bias() {
            layer.bias = Some(Initializer::Zeros.init([output], device));
        }
        layer
    }
}

/// A fully connected layer.
pub fn linear(input: usize, output: usize, draw: Init, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(input, output).init(device);
    if let Some(weight) = draw.weight(input, output) {
        layer.weight = weight.init([input, output], device);
    }
    if !draw.keeps_default_bias() {
        layer.bias = Some(Initializer::Zeros.init([output], device));
    }
    layer
}

/// Batch normalisation with PyTorch's defaults (epsilon 1e-5, momentum 0.1, scale 1, shift 0).
pub fn batch_norm(channels: usize, device: &Device) -> BatchNorm {
    batch_norm_with(channels, 1e-5, 0.1, device)
}

/// Batch normalisation with the epsilon and momentum of a model that deviates from the defaults.
/// `momentum` is PyTorch's: the share of the new batch in the running statistics.
pub fn batch_norm_with(channels: usize, epsilon: f64, momentum: f64, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_epsilon(epsilon)
        .with_momentum(momentum)
        .init(device)
}

/// Dropout; a rate outside `[0, 1)` has been refused by [`check_rate`] before.
pub fn dropout(rate: f64) -> Dropout {
    DropoutConfig::new(rate).init()
}

/// What is wrong with a dropout or stochastic-depth rate, if anything.
pub fn check_rate(key: &str, rate: f64) -> Option<(String, String)> {
    (!(0.0..1.0).contains(&rate)).then(|| {
        (
            key.to_string(),
            format!("must be at least 0 and below 1, got {rate}"),
        )
    })
}

/// The widest layer that an option may ask for.
pub const MAX_WIDTH: usize = 65_536;

/// What is wrong with a number of channels or of hidden units.
pub fn check_width(key: &str, width: usize) -> Option<(String, String)> {
    (!(1..=MAX_WIDTH).contains(&width)).then(|| {
        (
            key.to_string(),
            format!("{width} is not from 1 to {MAX_WIDTH}"),
        )
    })
}

/// What is wrong with a list of widths: the first that is out of range, by its place.
pub fn check_widths(key: &str, widths: &[usize]) -> Option<(String, String)> {
    let mut widths = widths.iter().enumerate();
    widths.find_map(|(at, width)| check_width(&format!("{key}[{at}]"), *width))
}

/// Drops the residual branch of whole samples in training (Huang et al. 2016, arXiv:1603.09382),
/// as torchvision's `StochasticDepth(mode="row")` does: kept rows are divided by the share kept.
#[derive(Module, Debug)]
pub struct StochasticDepth {
    /// The probability of dropping a sample's branch, in `[0, 1)`.
    pub prob: f64,
    /// Whether the layer acts as in training; cleared when its part of the model is frozen.
    pub training: Param<Flag>,
}

impl StochasticDepth {
    /// Makes the layer; a rate outside `[0, 1)` has been refused by [`check_rate`] before.
    pub fn new(prob: f64) -> Self {
        Self {
            prob,
            training: Param::from_bool(true),
        }
    }

    /// # Shapes
    /// - `x` and output: `[N, C, H, W]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        if self.prob == 0.0 || !self.training.is_enabled() || !device.is_autodiff() {
            return x;
        }
        let keep = 1.0 - self.prob;
        let rows = Tensor::<4>::random(
            [x.dims()[0], 1, 1, 1],
            Distribution::Bernoulli(keep),
            &device,
        );
        x * rows.div_scalar(keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn std(values: &[f32]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| v as f64).sum::<f64>() / n;
        (values
            .iter()
            .map(|&v| (v as f64 - mean).powi(2))
            .sum::<f64>()
            / n)
            .sqrt()
    }

    #[test]
    fn kaiming_fan_out_counts_all_output_channels_of_a_grouped_convolution() {
        let device = Device::flex();
        device.seed(1);
        let layer = conv(64, 256, 3)
            .groups(32)
            .draw(Init::KaimingFanOut)
            .init(&device);
        let weight = layer.weight.val().into_data().try_to_vec::<f32>().unwrap();
        let expected = (2.0f64 / (256.0 * 9.0)).sqrt();
        assert!(
            (std(&weight) / expected - 1.0).abs() < 0.05,
            "{}",
            std(&weight)
        );
        let bias = layer
            .bias
            .unwrap()
            .val()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert!(bias.iter().all(|&b| b == 0.0));
    }

    #[test]
    fn default_draws_lie_within_pytorchs_bound() {
        let device = Device::flex();
        let layer = linear(100, 400, Init::Default, &device);
        let weight = layer.weight.val().into_data().try_to_vec::<f32>().unwrap();
        let largest = weight.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        assert!(largest <= 0.1 && largest > 0.099, "{largest}");
        let bias = layer
            .bias
            .unwrap()
            .val()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert!(bias.iter().all(|b| b.abs() <= 0.1) && std(&bias) > 0.03);
    }

    #[test]
    fn stochastic_depth_keeps_or_drops_whole_samples_and_acts_in_training_only() {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        device.seed(3);
        let layer = StochasticDepth::new(0.25);
        let x = Tensor::<4>::ones([200, 2, 2, 2], &device);
        let y = layer.forward(x).into_data().try_to_vec::<f32>().unwrap();
        let mut kept = 0;
        for row in y.chunks(8) {
            assert!(row.iter().all(|v| *v == row[0]));
            assert!(row[0] == 0.0 || (row[0] - 4.0 / 3.0).abs() < 1e-6);
            kept += usize::from(row[0] > 0.0);
        }
        assert!((120..=180).contains(&kept), "{kept} of 200");
        let same = layer.forward(Tensor::<4>::ones([4, 1, 1, 1], &plain));
        assert_eq!(same.into_data().try_to_vec::<f32>().unwrap(), vec![1.0; 4]);
    }
}
