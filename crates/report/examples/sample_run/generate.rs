//! Made-up runs with every kind of file: numbers that look like a training's, pictures of colored
//! shapes, class names that try to break out of the page. Nothing here was measured.

use std::{
    collections::BTreeMap,
    f64::consts::PI,
    fs,
    path::{Path, PathBuf},
};

use firesight_report::{
    environment::{Environment, Split},
    events::EventWriter,
    jsonl::{Eval, Message, MessageKind, Record, Train, Writer},
    metric::Metric,
    results::{
        ClassProbability, Confusion, Example, LineChart, MeasuredWeights, Picture, Results,
        Section, Series, SplitResults, Table,
    },
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A class name that holds what a page must not take for markup.
pub const EVIL: &str = "</script><img src=x onerror=\"alert('1')\"> & {{ 7 * 7 }}";

/// What a made-up classifier run is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number of classes.
    pub classes: usize,
    /// Training images.
    pub images: usize,
    /// Epochs.
    pub epochs: u64,
    /// Peak learning rate.
    pub rate: f64,
    /// Seed of every draw.
    pub seed: u64,
}

impl Plan {
    /// A small run on ten classes.
    pub fn digits() -> Self {
        Plan {
            classes: 10,
            images: 1_437,
            epochs: 30,
            rate: 0.05,
            seed: 42,
        }
    }

    fn names(&self) -> Vec<String> {
        if self.classes == 10 {
            let names = [
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                EVIL,
                "ship",
                "truck",
            ];
            return names.map(String::from).to_vec();
        }
        (0..self.classes)
            .map(|class| format!("species {class}"))
            .collect()
    }
}

/// A small generator of uniform numbers (splitmix64), so that the samples need no dependency.
pub struct Draw(u64);

impl Draw {
    /// Uniform in 0..1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

/// A whole classifier run.
pub fn classifier(run: &Path, plan: &Plan) -> Outcome {
    let mut draw = Draw(plan.seed);
    fs::create_dir_all(run.join("examples"))?;
    let names = plan.names();
    recipe(run, plan)?;
    environment(plan, true).write(run)?;
    let (top1, best) = log(run, plan, plan.epochs, &mut draw)?;
    events(run, &mut draw)?;
    previews(run, &mut draw)?;

    // Rows of a confusion matrix whose neighbours are likeliest confused.
    let counts: Vec<Vec<u64>> = (0..plan.classes)
        .map(|truth| {
            let mut row = vec![0; plan.classes];
            row[truth] = 34 + draw.below(4) as u64;
            for _ in 0..draw.below(5) {
                let other = if draw.next() < 0.7 {
                    truth + 1 + draw.below(2)
                } else {
                    draw.below(plan.classes)
                };
                row[other % plan.classes] += 1;
            }
            row
        })
        .collect();
    let weights = MeasuredWeights {
        checkpoint: "best".into(),
        step: Some(best),
        epoch: Some(best / 23),
        ema: true,
    };
    let evaluation = |split: &str, samples, loss, top1, top5| SplitResults {
        split: split.into(),
        samples: Some(samples),
        weights: Some(weights.clone()),
        metrics: [("loss", loss), ("top1", top1), ("top5", top5)]
            .map(|(k, v)| (k.to_string(), v))
            .into(),
    };
    let results = Results {
        task: "classification".into(),
        evaluations: vec![
            evaluation("validation", 180, 0.0523, top1, 1.0),
            evaluation("test", 180, 0.0712 * 0.98 / top1, top1 - 0.0061, 0.9994),
        ],
        primary: Some("top1".into()),
        confusion: Some(Confusion { counts }),
        worst: examples(run, "worst", &names, &mut draw)?,
        best: examples(run, "best", &names, &mut draw)?,
        classes: names,
        split: "test".into(),
        weights: Some(weights),
        ..Results::default()
    };
    results.write(run)?;
    Ok(())
}

/// A run that was killed in the middle of a write.
pub fn unfinished(run: &Path) -> Outcome {
    let plan = Plan::digits();
    fs::create_dir_all(run)?;
    recipe(run, &plan)?;
    environment(&plan, false).write(run)?;
    log(run, &plan, 9, &mut Draw(3))?;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(run.join("metrics.jsonl"))?;
    std::io::Write::write_all(&mut file, br#"{"type":"train","step":21"#)?;
    Ok(())
}

/// A detector run, whose results are sections of its own.
pub fn detector(run: &Path) -> Outcome {
    let plan = Plan {
        epochs: 12,
        images: 2_000,
        ..Plan::digits()
    };
    let mut draw = Draw(5);
    fs::create_dir_all(run.join("examples"))?;
    recipe(run, &plan)?;
    let env = Environment {
        model: "retinanet_resnet18".into(),
        dataset: "scenes".into(),
        trainable: Some(850),
        task: "detection".into(),
        metrics: [
            ("ap", "AP", "Average precision"),
            ("ap50", "AP50", "Average precision"),
            ("ap75", "AP75", "Average precision"),
            ("ap_small", "AP, small", "Average precision by size"),
            ("ap_medium", "AP, medium", "Average precision by size"),
        ]
        .map(|(key, title, chart)| Metric::share(key, title).chart(chart))
        .to_vec(),
        ..environment(&plan, true)
    };
    env.write(run)?;
    let mut writer = Writer::create(run)?;
    for step in 1..=1_500_u64 {
        let progress = step as f64 / 1_500.0;
        let losses: BTreeMap<_, _> = [("classification", 1.1), ("box_regression", 0.7)]
            .map(|(name, scale)| {
                (
                    name.to_string(),
                    scale * (-4.0 * progress).exp() * (0.7 + 0.6 * draw.next()) + 0.05,
                )
            })
            .into();
        let record = Train {
            step,
            epoch: 1 + (step - 1) / 125,
            loss: losses.values().sum(),
            learning_rate: if step < 1_000 { 0.01 } else { 0.001 },
            images_per_second: 61.0 + 4.0 * draw.next(),
            time: step as f64 * 0.26,
            losses,
        };
        writer.write(&Record::Train(record))?;
        if step % 125 == 0 {
            let ap = 0.62 * (1.0 - (-3.5 * progress).exp());
            let metrics = [
                ("ap", ap),
                ("ap50", (ap * 1.45).min(0.97)),
                ("ap75", ap * 1.1),
                ("ap_small", ap * 0.6),
                ("ap_medium", ap * 1.1),
            ];
            let metrics = metrics.map(|(k, v)| (k.to_string(), v)).into();
            writer.write(&Record::Eval(Eval {
                split: "validation".into(),
                step,
                epoch: step / 125,
                ema: false,
                metrics,
            }))?;
        }
    }
    let scene = run.join("examples/scene-1.png");
    png(&scene, 256, 160, |x, y| {
        shape(3, x as f64 / 256.0, y as f64 / 160.0, 0.4)
    })?;
    let curve = |name: &str, end: f64| Series {
        name: name.into(),
        points: (0..=100)
            .map(|r| {
                [
                    f64::from(r) / 100.0,
                    1.0 - (f64::from(r) / 100.0).powf(4.0) * end,
                ]
            })
            .collect(),
    };
    let results = Results {
        task: "detection".into(),
        primary: Some("ap".into()),
        evaluations: vec![SplitResults {
            split: "test".into(),
            samples: Some(500),
            weights: Some(MeasuredWeights {
                checkpoint: "best".into(),
                step: Some(1_500),
                epoch: Some(12),
                ema: false,
            }),
            metrics: [
                ("ap", 0.581),
                ("ap50", 0.893),
                ("ap75", 0.644),
                ("ap_small", 0.312),
            ]
            .map(|(k, v)| (k.to_string(), v))
            .into(),
        }],
        sections: vec![Section {
            title: "Detections".into(),
            text: vec![
                "Average precision by class and the precision at each recall, on the test split."
                    .into(),
            ],
            charts: vec![LineChart {
                title: "Precision over recall".into(),
                x: "recall".into(),
                y: "precision".into(),
                log: false,
                series: vec![curve("IoU 0.50", 0.4), curve("IoU 0.75", 0.9)],
            }],
            tables: vec![Table {
                caption: "By class".into(),
                columns: ["Class", "AP", "AP50", "Objects"]
                    .map(String::from)
                    .to_vec(),
                rows: (0..10)
                    .map(|class| {
                        vec![
                            format!("digit {class}").into(),
                            (0.5 + 0.02 * f64::from(class)).into(),
                            0.88.into(),
                            271.0.into(),
                        ]
                    })
                    .collect(),
            }],
            images: vec![Picture {
                path: "examples/scene-1.png".into(),
                caption: "A test scene with its detections".into(),
                alt: String::new(),
            }],
        }],
        ..Results::default()
    };
    results.write(run)?;
    Ok(())
}

fn recipe(run: &Path, plan: &Plan) -> Outcome {
    let Plan {
        epochs, rate, seed, ..
    } = plan;
    let text = format!(
        "# Resolved recipe\nseed = {seed}\nepochs = {epochs}\n\n[data]\nsource = {{ digits = {{}} }}\nbatch-size = 64\n\
         augment = [{{ rotate = {{ degrees = 10.0 }} }}, {{ translate = {{ fraction = 0.1 }} }}]\n\n\
         [task.classification]\nmodel = {{ lenet = {{ dropout = 0.25 }} }}\nlabel-smoothing = 0.1\n\n\
         [optimizer.sgd]\nlearning-rate = {rate}\nmomentum = 0.9\nweight-decay = 5e-4\nnesterov = false\n\n\
         [warmup]\nepochs = 1\n\n[schedule.cosine]\n\n[ema]\ndecay = 0.999 # of the weights\n"
    );
    fs::write(run.join("recipe.toml"), text)?;
    Ok(())
}

fn environment(plan: &Plan, finished: bool) -> Environment {
    Environment {
        version: "0.1.0 (87d11c9)".into(),
        backend: "flex".into(),
        device: "cpu".into(),
        threads: Some(2),
        os: "linux x86_64".into(),
        cpu: "AMD EPYC 7763 64-Core Processor".into(),
        task: "classification".into(),
        model: "lenet".into(),
        parameters: Some(61_706),
        trainable: Some(61_706),
        dataset: "digits".into(),
        dataset_fingerprint: "9f3c1c52ad0f4d9d3b7de1a0c6d1cf83c2f4a9e0b7a8d5e6f1029384756afbec".into(),
        splits: [("train", plan.images), ("validation", 180), ("test", 180)]
            .map(|(name, samples)| Split { name: name.into(), samples, ..Split::default() })
            .to_vec(),
        metrics: vec![
            Metric::share("top1", "Top-1 accuracy"),
            Metric::share("top5", "Top-5 accuracy"),
            Metric::loss("loss", "Loss"),
        ],
        command: "trainer train configs/classification/digits.toml --set optimizer.sgd.learning-rate=0.05".into(),
        recipe: Some("/home/user/firesight/configs/classification/digits.toml".into()),
        overrides: vec!["optimizer.sgd.learning-rate=0.05".into()],
        data_root: Some("/home/user/data".into()),
        started: Some("2026-11-23T18:00:00Z".into()),
        finished: finished.then(|| "2026-11-23T18:01:12Z".into()),
    }
}

/// Writes the log and returns the best accuracy and its step.
fn log(
    run: &Path,
    plan: &Plan,
    epochs: u64,
    draw: &mut Draw,
) -> Result<(f64, u64), Box<dyn std::error::Error>> {
    let mut writer = Writer::create(run)?;
    let steps = plan.epochs * 23;
    let mut best = (0.0, 0);
    for step in 1..=epochs * 23 {
        let progress = step as f64 / steps as f64;
        let warm = (step as f64 / 23.0).min(1.0);
        let fall = (-5.0 * progress * (plan.rate / 0.05).sqrt()).exp();
        writer.write(&Record::Train(Train {
            step,
            epoch: 1 + (step - 1) / 23,
            loss: (2.3 * fall + 0.03) * (0.75 + 0.5 * draw.next()),
            learning_rate: plan.rate * warm * 0.5 * (1.0 + (PI * progress).cos()),
            images_per_second: 820.0 + 60.0 * draw.next()
                - if step % 97 == 0 { 400.0 } else { 0.0 },
            time: step as f64 * 0.1,
            losses: BTreeMap::new(),
        }))?;
        if step % 23 == 0 {
            let top1 = 0.985 - 0.8 * fall.powf(1.6) - 0.006 * draw.next();
            if top1 > best.0 {
                best = (top1, step);
            }
            let metrics = [
                (
                    "loss",
                    2.2 * fall + 0.06 + 0.02 * draw.next() + 0.02 * progress,
                ),
                ("top1", top1),
                ("top5", 1.0 - (1.0 - top1) * 0.15),
            ];
            let metrics = metrics.map(|(k, v)| (k.to_string(), v)).into();
            let epoch = step / 23;
            writer.write(&Record::Eval(Eval {
                split: "validation".into(),
                step,
                epoch,
                ema: true,
                metrics,
            }))?;
        }
        if step == 230 {
            for (kind, message) in [
                (
                    MessageKind::Note,
                    "Stopped by SIGINT; checkpoint step-230 written. Resumed.",
                ),
                (MessageKind::Warning, "The disk is nearly full."),
                (
                    MessageKind::Skipped,
                    "Left out of the train split (1 of at most 3): 7.png is no picture",
                ),
            ] {
                writer.write(&Record::Event(Message {
                    kind,
                    message: message.into(),
                    step: Some(step),
                    time: Some(23.0),
                }))?;
            }
        }
    }
    Ok(best)
}

fn events(run: &Path, draw: &mut Draw) -> Outcome {
    let mut events = EventWriter::create(run)?;
    events.text("recipe", 0, &fs::read_to_string(run.join("recipe.toml"))?)?;
    for step in 1..=5 {
        events.scalar("train/loss", step, draw.next())?;
    }
    Ok(())
}

fn previews(run: &Path, draw: &mut Draw) -> Outcome {
    fs::create_dir_all(run.join("preview"))?;
    for epoch in 1..=2 {
        let turns: Vec<f64> = (0..32).map(|_| draw.next()).collect();
        png(
            &run.join(format!("preview/epoch-{epoch}.png")),
            8 * 66,
            4 * 66,
            |x, y| {
                let tile = (y / 66 * 8 + x / 66) as usize;
                let (u, v) = ((x % 66) as f64 / 64.0, (y % 66) as f64 / 64.0);
                if u > 1.0 || v > 1.0 {
                    [250, 248, 245]
                } else {
                    shape(tile % 10, u, v, turns[tile])
                }
            },
        )?;
    }
    Ok(())
}

fn examples(
    run: &Path,
    kind: &str,
    names: &[String],
    draw: &mut Draw,
) -> Result<Vec<Example>, Box<dyn std::error::Error>> {
    let mut examples = Vec::new();
    for number in 0..6 {
        let truth = if number == 0 {
            7.min(names.len() - 1)
        } else {
            draw.below(names.len())
        };
        let other = (truth + 1 + draw.below(3)) % names.len();
        let third = (truth + 5) % names.len();
        let sure = if kind == "worst" {
            0.97 - 0.08 * number as f64
        } else {
            0.999 - 0.0004 * number as f64
        };
        let rest = 1.0 - sure;
        let (first, second) = if kind == "worst" {
            (other, truth)
        } else {
            (truth, other)
        };
        let top = [(first, sure), (second, rest * 0.8), (third, rest * 0.2)];
        let picture = PathBuf::from(format!("examples/{kind}-{number}.png"));
        let turn = draw.next();
        png(&run.join(&picture), 32, 32, |x, y| {
            shape(truth % 10, x as f64 / 32.0, y as f64 / 32.0, turn)
        })?;
        let probability = if kind == "worst" { rest * 0.8 } else { sure };
        examples.push(Example {
            picture,
            truth: Some(truth),
            top: top
                .map(|(class, probability)| ClassProbability { class, probability })
                .to_vec(),
            loss: -probability.ln(),
            origin: format!("row {} of digits", draw.below(1_797)),
        });
    }
    Ok(examples)
}

/// A pixel of a colored shape on a soft ground; `u` and `v` from 0 to 1.
fn shape(kind: usize, u: f64, v: f64, turn: f64) -> [u8; 3] {
    let (x, y) = (u - 0.5, v - 0.5);
    let angle = turn * PI;
    let (x, y) = (
        x * angle.cos() - y * angle.sin(),
        x * angle.sin() + y * angle.cos(),
    );
    let radius = x.hypot(y);
    let inside = match kind % 5 {
        0 => radius < 0.32,
        1 => x.abs().max(y.abs()) < 0.27,
        2 => x.abs() + y.abs() < 0.36,
        3 => radius < 0.22 + 0.12 * (5.0 * y.atan2(x)).cos(),
        _ => (0.17..0.33).contains(&radius),
    };
    let hue = kind as f64 / 10.0 * 2.0 * PI;
    let channel = |phase: f64| {
        let ground = 60.0 + 70.0 * v + 20.0 * (hue + phase).sin();
        let ink = 165.0 + 85.0 * (hue + phase).cos();
        (if inside { ink } else { ground }) as u8
    };
    [channel(0.0), channel(2.1), channel(4.2)]
}

fn png(path: &Path, width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Outcome {
    let mut encoder = png::Encoder::new(fs::File::create(path)?, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let bytes: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| pixel(x, y))
        .collect();
    encoder.write_header()?.write_image_data(&bytes)?;
    Ok(())
}
