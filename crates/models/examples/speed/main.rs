//! The Rust half of `scripts/compare_pytorch.py`: runs one piece of work as often as it is asked to.
//!
//! Lines on standard input, one answer each on standard output:
//! - `list`: the names of all cases, separated by spaces;
//! - `case NAME`: makes the case in place of the last one and runs it twice to warm up; `ready`, or `error ...`;
//! - `run COUNT`: runs it, and gives the milliseconds of each run.
//!
//! `--burn` turns the fast kernels off. `RAYON_NUM_THREADS` sets the number of threads.

mod dcgan;
mod optimizer;

use std::io::{BufRead, Write};
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNormConfig, PaddingConfig2d};
use burn::optim::DynOptimizer;
use burn::optim::GradientsParams;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Distribution, Int, Tensor};
use firesight_kernels::optim::{Adam, Sgd};
use firesight_kernels::{self as kernels, Activation, Mode};
use firesight_models::classification::{Classifier, ClassifierConfig, InputSpec};
use firesight_models::segmentation::SegmenterConfig;
use firesight_models::segmentation::fcn::FcnConfig;
use optimizer::{Trained, gradients_of};

/// A piece of work, made once and run again and again.
type Work = Box<dyn FnMut()>;

/// A case: its name, which `compare_pytorch.py` has too, and what makes it.
struct Case {
    name: &'static str,
    make: fn() -> Result<Work, String>,
}

/// To add one: a line here and one of the same name in `compare_pytorch.py`.
const CASES: &[Case] = &[
    case("infer resnet18 1", || inference("resnet18", 1)),
    case("infer resnet18 8", || inference("resnet18", 8)),
    case("infer resnet50 1", || inference("resnet50", 1)),
    case("infer resnet50 8", || inference("resnet50", 8)),
    case("train lenet 256", || {
        classifier("lenet", "", InputSpec::gray(28), 256)
    }),
    case("train resnet18-cifar 64", || {
        let options = r#""stem": "cifar""#;
        classifier("resnet18", options, InputSpec::rgb(32), 64)
    }),
    case("train resnet20 128", || {
        classifier("resnet20", "", InputSpec::rgb(32), 128)
    }),
    case("train mobilenet_v2 64", || {
        classifier("mobilenet_v2", "", InputSpec::rgb(32), 64)
    }),
    case("train fcn-resnet18 2", || segmenter(2)),
    case("train dcgan 32", || dcgan::step(32)),
    case("optimizer sgd", || update(SGD)),
    case("optimizer adam", || update(Adam::default())),
    case("conv 3x3 64-64 32px", || {
        convolution([64, 64, 32], 3, 1, 1, 64)
    }),
    case("conv 3x3 256-256 8px", || {
        convolution([256, 256, 8], 3, 1, 1, 64)
    }),
    case("conv 3x3 3-64 32px", || {
        convolution([3, 64, 32], 3, 1, 1, 64)
    }),
    case("conv 3x3/2 64-128 32px", || {
        convolution([64, 128, 32], 3, 2, 1, 64)
    }),
    case("conv 1x1/2 64-128 32px", || {
        convolution([64, 128, 32], 1, 2, 1, 64)
    }),
    case("conv 7x7/2 3-64 224px", || {
        convolution([3, 64, 224], 7, 2, 1, 8)
    }),
    case("conv depthwise 96 32px", || {
        convolution([96, 96, 32], 3, 1, 96, 64)
    }),
    case("conv transposed 4x4/2 128-64 16px", transposed),
    case("norm relu 64 32px", normalisation),
    case("max pool 3x3/2 64 112px", max_pool),
];

const fn case(name: &'static str, make: fn() -> Result<Work, String>) -> Case {
    Case { name, make }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == "--burn") {
        kernels::set_mode(Mode::Burn);
    }
    let mut work: Option<Work> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command {
            "list" => {
                let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
                names.join("\t")
            }
            "case" => {
                // The last case's memory goes first.
                drop(work.take());
                match make(rest) {
                    Ok(mut made) => {
                        made();
                        made();
                        work = Some(made);
                        "ready".to_string()
                    }
                    Err(error) => format!("error {error}"),
                }
            }
            "run" => {
                let work = work.as_mut().ok_or("`run` needs a `case` before")?;
                let count: usize = rest.parse()?;
                let times: Vec<_> = (0..count)
                    .map(|_| {
                        let start = Instant::now();
                        work();
                        format!("{:.4}", start.elapsed().as_secs_f64() * 1e3)
                    })
                    .collect();
                times.join(" ")
            }
            other => return Err(format!("unknown command `{other}`").into()),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn make(name: &str) -> Result<Work, String> {
    let case = CASES.iter().find(|case| case.name == name);
    (case
        .ok_or_else(|| format!("no case is named `{name}`"))?
        .make)()
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn model(
    name: &str,
    options: &str,
    input: InputSpec,
    classes: usize,
    device: &Device,
) -> Result<Classifier, String> {
    let text = format!(r#"{{"{name}": {{{options}}}}}"#);
    let config: ClassifierConfig = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    config
        .init(input, classes, device)
        .map_err(|e| e.to_string())
}

const SGD: Sgd = Sgd {
    momentum: 0.9,
    dampening: 0.0,
    nesterov: false,
    weight_decay: 5e-4,
};

/// Logits of 224x224 images.
fn inference(name: &str, batch: usize) -> Result<Work, String> {
    let device = Device::flex();
    let model = model(name, "", InputSpec::rgb(224), 1000, &device)?.valid();
    let x = random([batch, 3, 224, 224], &device);
    Ok(Box::new(move || {
        model.forward(x.clone()).into_data();
    }))
}

/// Forward, cross-entropy, reading of the loss, backward, SGD with momentum.
fn classifier(name: &str, options: &str, input: InputSpec, batch: usize) -> Result<Work, String> {
    const CLASSES: usize = 10;
    let device = Device::flex().autodiff();
    let model = model(name, options, input, CLASSES, &device)?;
    let mut model = Trained::new(model, SGD);
    let x = random([batch, input.channels, input.height, input.width], &device);
    let classes: Vec<i32> = (0..batch).map(|i| (i % CLASSES) as i32).collect();
    let targets = Tensor::<1, Int>::from_ints(classes.as_slice(), &device).unsqueeze_dim::<2>(1);
    Ok(Box::new(move || {
        let log_p = log_softmax(model.module().forward(x.clone()), 1);
        let loss = log_p.gather(1, targets.clone()).mean().neg();
        assert!(loss.clone().into_scalar::<f32>().is_finite());
        let gradients = gradients_of(loss, model.module());
        model.step(gradients, 0.01);
    }))
}

/// The same for an FCN over a ResNet-18 on images of 256x256, the loss averaged over pixels.
fn segmenter(batch: usize) -> Result<Work, String> {
    const CLASSES: usize = 21;
    const SIDE: usize = 256;
    let device = Device::flex().autodiff();
    let config = SegmenterConfig::Fcn(FcnConfig::default());
    let model = config.init(InputSpec::rgb(SIDE), CLASSES, &device);
    let mut model = Trained::new(model.map_err(|e| e.to_string())?, SGD);
    let x = random([batch, 3, SIDE, SIDE], &device);
    let classes = (0..batch * SIDE * SIDE).map(|i| (i / 1000 % CLASSES) as i32);
    let classes: Vec<i32> = classes.collect();
    let targets = Tensor::<1, Int>::from_ints(classes.as_slice(), &device);
    let targets = targets.reshape([batch, 1, SIDE, SIDE]);
    Ok(Box::new(move || {
        let log_p = log_softmax(model.module().forward_train(x.clone()).logits, 1);
        let loss = log_p.gather(1, targets.clone()).mean().neg();
        assert!(loss.clone().into_scalar::<f32>().is_finite());
        let gradients = gradients_of(loss, model.module());
        model.step(gradients, 0.01);
    }))
}

/// The update of ResNet-18's parameters.
fn update(rule: impl DynOptimizer + 'static) -> Result<Work, String> {
    let device = Device::flex().autodiff();
    let model = model("resnet18", "", InputSpec::rgb(224), 1000, &device)?;
    let mut model = Trained::new(model, rule);
    let mut drawn = Draw(GradientsParams::new());
    model.module().visit(&mut drawn);
    Ok(Box::new(move || {
        let mut shared = Share(&drawn.0, GradientsParams::new());
        model.module().visit(&mut shared);
        model.step(shared.1, 1e-4);
        // A training step has a backward pass, in which the graph forgets the parameters that were replaced.
        Tensor::<1>::ones([1], &device).require_grad().backward();
    }))
}

/// Draws a gradient for each parameter.
struct Draw(GradientsParams);

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let gradient = random(value.dims(), &value.device()).mul_scalar(0.01);
        self.0.register(param.id, gradient);
    }
}

/// Gives the same gradients again, sharing their memory.
struct Share<'a>(&'a GradientsParams, GradientsParams);

impl ModuleVisitor for Share<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.0.get::<D>(param.id) {
            self.1.register(param.id, gradient);
        }
    }
}

/// Forward and all gradients of one layer, whose output's gradient is one everywhere.
fn layer(x: Tensor<4>, forward: impl Fn(Tensor<4>) -> Tensor<4> + 'static) -> Work {
    let x = x.require_grad();
    Box::new(move || {
        let gradients = forward(x.clone()).backward();
        assert!(x.grad(&gradients).is_some());
    })
}

/// `[in, out, side]`; half of the kernel as padding.
fn convolution(
    [input, output, side]: [usize; 3],
    kernel: usize,
    stride: usize,
    groups: usize,
    batch: usize,
) -> Result<Work, String> {
    let device = Device::flex().autodiff();
    let pad = kernel / 2;
    let conv = Conv2dConfig::new([input, output], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_groups(groups)
        .with_bias(false)
        .init(&device);
    let x = random([batch, input, side, side], &device);
    Ok(layer(x, move |x| kernels::conv2d(&conv, x)))
}

fn transposed() -> Result<Work, String> {
    let device = Device::flex().autodiff();
    let conv = ConvTranspose2dConfig::new([128, 64], [4, 4])
        .with_stride([2, 2])
        .with_padding([1, 1])
        .with_bias(false)
        .init(&device);
    let x = random([32, 128, 16, 16], &device);
    Ok(layer(x, move |x| kernels::conv_transpose2d(&conv, x)))
}

fn normalisation() -> Result<Work, String> {
    let device = Device::flex().autodiff();
    let norm = BatchNormConfig::new(64).init(&device);
    let x = random([64, 64, 32, 32], &device);
    Ok(layer(x, move |x| {
        kernels::batch_norm_act(&norm, x, Activation::Relu)
    }))
}

fn max_pool() -> Result<Work, String> {
    let device = Device::flex().autodiff();
    let pool = MaxPool2dConfig::new([3, 3])
        .with_strides([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init();
    let x = random([8, 64, 112, 112], &device);
    Ok(layer(x, move |x| kernels::max_pool2d(&pool, x)))
}
