//! `trainer lr-find`: the learning-rate range test (Smith 2015, "Cyclical Learning Rates for Training Neural
//! Networks", section 3.3): the rate rises from step to step, and the loss tells where learning begins and where it
//! breaks down.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::{DeviceArgs, End, RecipeArgs, Usage, hint, out, print_json, read_recipe, usage};
use crate::terminal::Terminal;
use firesight::device;
use firesight::engine::{Step, StepError, Task};
use firesight::examine;
use firesight::experiment::Experiment;
use firesight::recipe;
use firesight::task::Build;

/// Arguments of `trainer lr-find`.
#[derive(Args, Debug)]
pub struct LrFindArgs {
    /// The recipe; its learning rate, schedule and warm-up play no part here
    recipe: PathBuf,
    #[command(flatten)]
    overrides: RecipeArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// The first learning rate
    #[arg(long, default_value_t = 1e-6)]
    from: f64,
    /// The last learning rate; the test ends before it where the loss breaks down
    #[arg(long, default_value_t = 10.0)]
    to: f64,
    /// Optimizer steps in between
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    steps: u64,
    /// The picture of the curve (<recipe name>-lr-find.svg if not given, numbered where that is there)
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// Write over the file of --out if it is there
    #[arg(long, requires = "out")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The share of the running mean that stays at each step.
const SMOOTHING: f64 = 0.9;
/// The loss has broken down when its running mean is this many times its smallest value.
const BROKEN: f64 = 4.0;

/// What the test found.
#[derive(Debug, Serialize)]
struct Found {
    /// Where the running mean falls steepest: a rate to begin with.
    suggestion: Option<f64>,
    /// Where the running mean is smallest; a rate that is already too high for long.
    lowest: Option<f64>,
    points: Vec<Point>,
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, Serialize)]
struct Point {
    rate: f64,
    loss: f64,
    /// The running mean of the loss.
    smoothed: f64,
}

/// Runs the test. Nothing of the training is kept.
///
/// # Errors
/// A wrong recipe, device, dataset or range; a picture that cannot be written.
pub fn run(args: LrFindArgs) -> anyhow::Result<End> {
    if !(args.from >= 1e-12 && args.from < args.to && args.to <= 1e6) {
        let (from, to) = (args.from, args.to);
        return Err(Usage(format!(
            "--from {from} --to {to}: give 1e-12 <= FROM < TO <= 1e6"
        ))
        .into());
    }
    if let Some(picture) = &args.out {
        if picture.extension().is_none_or(|ending| ending != "svg") {
            let shown = picture.display();
            return Err(Usage(format!(
                "--out {shown}: the picture is an SVG; end its name in .svg"
            ))
            .into());
        }
        out::claim("--out", picture, args.force, &[&args.recipe])?;
    }
    let loaded = read_recipe(&args.recipe, &args.overrides.set)?;
    recipe::check_files(&loaded)?;
    let device = device::select(args.device.device.as_deref())?;
    loaded.value.kernels.apply();
    let root = args.overrides.root(None)?;
    let terminal = Terminal::default();
    let experiment = Experiment::open(loaded.value.clone(), &root, &terminal).map_err(usage)?;
    for card in experiment.cards() {
        recipe::check_data(&loaded, card)?;
    }
    for line in examine::before_training(&experiment).map_err(usage)? {
        eprintln!("warning: {line}");
    }
    let mut networks = experiment.networks(&device).map_err(usage)?;
    networks.check(&loaded)?;
    let mut task = networks
        .task(Build::Fresh, None, &terminal)
        .map_err(usage)?;
    let points = range_test(&experiment, task.as_mut(), &device, &args)?;
    let found = Found {
        suggestion: steepest(&points),
        lowest: points
            .iter()
            .min_by(|a, b| a.smoothed.total_cmp(&b.smoothed))
            .map(|point| point.rate),
        points,
    };
    let picture = args.out.clone().unwrap_or_else(|| {
        let name = args.recipe.file_stem().unwrap_or_default();
        out::free(&format!("{}-lr-find", name.to_string_lossy()), "svg")
    });
    std::fs::write(&picture, svg(&found)).with_context(|| format!("{}", picture.display()))?;
    if args.json {
        print_json(&found)?;
        return Ok(End::Done);
    }
    for point in &found.points {
        println!("{:>9.2e}  {:.4}", point.rate, point.smoothed);
    }
    match found.suggestion {
        Some(rate) => {
            println!("the loss falls steepest at a learning rate of {rate:.1e}");
            let key = format!("optimizer.{}.learning-rate", loaded.value.optimizer.name());
            let train = hint::command("train")
                .path(&args.recipe)
                .overrides(&args.overrides)
                .option("--set", Some(format!("{key}={rate:.1e}")))
                .data_root(&args.overrides)
                .device(&args.device);
            println!("train with it: {train}");
        }
        None => println!("the loss never falls: try other values of --from and --to"),
    }
    println!("curve: {}", picture.display());
    Ok(End::Done)
}

fn range_test(
    experiment: &Experiment,
    task: &mut dyn Task,
    device: &device::NamedDevice,
    args: &LrFindArgs,
) -> anyhow::Result<Vec<Point>> {
    let recipe = &experiment.recipe;
    let loader = experiment.train_loader().map_err(usage)?;
    let accumulate = recipe.accumulate.max(1);
    let mut points = Vec::new();
    let (mut mean, mut lowest) = (0.0, f64::INFINITY);
    // As many epochs as the steps need.
    let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch, 0));
    for step in 0..args.steps {
        let share = step as f64 / (args.steps - 1) as f64;
        let rate = args.from * (args.to / args.from).powf(share);
        let (mut loss, mut samples) = (0.0, 0);
        for part in 1..=accumulate {
            let Some(batch) = batches.next() else {
                return Err(
                    Usage("data.batch-size: the training images fill no batch".into()).into(),
                );
            };
            device.device.seed(
                recipe
                    .seed
                    .wrapping_add(step * accumulate as u64 + part as u64),
            );
            let update = part == accumulate;
            let report = match task.train_batch(batch?, &Step { rate, update }) {
                Ok(report) => report,
                // Past the end of what can be learned.
                Err(StepError::NonFiniteGradient(_)) => return Ok(points),
                Err(error @ StepError::OneValue(_)) => return Err(error.into()),
            };
            loss += report.loss * report.samples as f64;
            samples += report.samples;
        }
        let loss = loss / samples.max(1) as f64;
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * loss;
        // The mean begins at 0; this takes that back (Kingma and Ba 2015).
        let smoothed = mean / (1.0 - SMOOTHING.powi(step as i32 + 1));
        if !smoothed.is_finite() || (step > 10 && smoothed > BROKEN * lowest) {
            break;
        }
        lowest = smoothed.min(lowest);
        points.push(Point {
            rate,
            loss,
            smoothed,
        });
    }
    Ok(points)
}

/// The rate at which the running mean falls steepest per decade, over windows of five steps, before its lowest
/// point; none where it never falls.
fn steepest(points: &[Point]) -> Option<f64> {
    let lowest =
        (0..points.len()).min_by(|&a, &b| points[a].smoothed.total_cmp(&points[b].smoothed))?;
    let windows = points[..=lowest].windows(5);
    let slopes = windows.map(|window| {
        let [first, last] = [window[0], window[4]];
        let slope = (last.smoothed - first.smoothed) / (last.rate / first.rate).log10();
        (slope, window[2].rate)
    });
    slopes
        .filter(|(slope, _)| *slope < 0.0)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, rate)| rate)
}

/// The curve as a picture: the loss of each step faint, its running mean over it, the suggestion marked.
fn svg(found: &Found) -> String {
    const SIZE: [f64; 2] = [720.0, 420.0];
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 700.0;
    const TOP: f64 = 40.0;
    const BOTTOM: f64 = 370.0;
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| {
            [low.min(v), high.max(v)]
        })
    };
    let points = &found.points;
    let [x1, x2] = range(&mut points.iter().map(|p| p.rate.log10()));
    let [y1, y2] = range(&mut points.iter().map(|p| p.smoothed));
    let margin = ((y2 - y1) * 0.05).max(1e-9);
    let (y1, y2) = (y1 - margin, y2 + margin);
    let x = |rate: f64| LEFT + (rate.log10() - x1) / (x2 - x1).max(1e-9) * (RIGHT - LEFT);
    let y = |loss: f64| BOTTOM - ((loss - y1) / (y2 - y1)).clamp(0.0, 1.0) * (BOTTOM - TOP);
    let line = |value: fn(&Point) -> f64| {
        let corners = points
            .iter()
            .map(|p| format!("{:.1},{:.1}", x(p.rate), y(value(p))));
        corners.collect::<Vec<_>>().join(" ")
    };
    let [width, height] = SIZE;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\">Training loss by learning rate</text>\n"
    );
    // Writing into a string cannot fail.
    let mut add = |text: String| writeln!(out, "{text}").expect("a string takes text");
    if !points.is_empty() {
        for decade in x1.ceil() as i32..=x2.floor() as i32 {
            let at = x(10f64.powi(decade));
            add(format!(
                "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#ddd\"/>"
            ));
            let top = BOTTOM + 20.0;
            add(format!(
                "<text x=\"{at:.1}\" y=\"{top}\" text-anchor=\"middle\">1e{decade}</text>"
            ));
        }
        for part in 0..5 {
            let loss = y1 + (y2 - y1) * f64::from(part) / 4.0;
            let at = y(loss);
            add(format!(
                "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#ddd\"/>"
            ));
            let (left, middle) = (LEFT - 8.0, at + 4.0);
            add(format!(
                "<text x=\"{left}\" y=\"{middle:.1}\" text-anchor=\"end\">{loss:.3}</text>"
            ));
        }
        let raw = line(|p| p.loss);
        add(format!(
            "<polyline points=\"{raw}\" fill=\"none\" stroke=\"#9bbcd8\"/>"
        ));
        let smoothed = line(|p| p.smoothed);
        add(format!(
            "<polyline points=\"{smoothed}\" fill=\"none\" stroke=\"#1f5f99\" stroke-width=\"2\"/>"
        ));
    }
    if let Some(rate) = found.suggestion {
        let at = x(rate);
        add(format!(
            "<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#c2410c\" stroke-dasharray=\"4 4\"/>"
        ));
        let (at, top) = (at + 6.0, TOP + 14.0);
        add(format!(
            "<text x=\"{at:.1}\" y=\"{top}\" fill=\"#c2410c\">steepest at {rate:.1e}</text>"
        ));
    }
    add("</svg>".to_owned());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loss that falls around 1e-3 and rises after 1e-1.
    fn curve() -> Vec<Point> {
        let point = |step: i32| {
            let rate = 10f64.powf(-6.0 + f64::from(step) / 10.0);
            let fall = 2.0 / (1.0 + (-3.0 * (rate.log10() + 3.0)).exp());
            let smoothed = 2.5 - fall + (rate / 0.3).powi(2);
            Point {
                rate,
                loss: smoothed,
                smoothed,
            }
        };
        (0..60).map(point).collect()
    }

    #[test]
    fn the_suggestion_is_where_the_loss_falls_steepest() {
        let rate = steepest(&curve()).unwrap();
        assert!((rate.log10() + 3.0).abs() < 0.11, "{rate}");
        let rising: Vec<Point> = curve().into_iter().rev().collect();
        assert_eq!(steepest(&rising[..5]), None);
        assert_eq!(steepest(&[]), None);
    }

    #[test]
    fn the_picture_shows_curve_and_suggestion_and_stands_without_points() {
        let points = curve();
        let found = Found {
            suggestion: steepest(&points),
            lowest: None,
            points,
        };
        let picture = svg(&found);
        assert_eq!(picture.matches("<polyline").count(), 2);
        assert!(picture.contains("steepest at 1.0e-3") && !picture.contains("NaN"));
        let nothing = Found {
            suggestion: None,
            lowest: None,
            points: Vec::new(),
        };
        let picture = svg(&nothing);
        assert!(
            picture.ends_with("</svg>\n") && !picture.contains("NaN"),
            "{picture}"
        );
    }
}
