//! Sends every file of a folder of odd and malformed images through the decoder and writes the table of the
//! README: how many were read, how many refused, and why.
//!
//! `cargo run --release -p firesight-data --example bad_images -- ../shared/data/bad-images [--list] [--dump DIR]`
//!
//! `--list` prints the verdict on every file, `--dump` writes what was read as PPM files, which
//! `scripts/compare_decoding.py` compares with Pillow's.
//!
//! The folder's `manifest.csv` says what Pillow does with each file; where the two differ, the file is listed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firesight_data::decode::{Decoding, decode_file};
use firesight_data::{DataError, Image};

/// What became of the files of one sub-folder.
#[derive(Default)]
struct Row {
    files: usize,
    read: usize,
    damaged: usize,
    over_limit: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("give the folder of images")?);
    let (mut list, mut dump) = (false, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--dump" => dump = arguments.next().map(PathBuf::from),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    if let Some(folder) = &dump {
        std::fs::create_dir_all(folder)?;
    }
    let pillow = pillow(&root)?;
    let limits = Decoding::default();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut differences = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    for file in files(&root)? {
        let name = file.strip_prefix(&root)?.display().to_string();
        let start = Instant::now();
        let result = decode_file(&file, &limits);
        slowest = slowest.max((start.elapsed(), name.clone()));
        let row = rows
            .entry(name.split('/').next().unwrap_or_default().into())
            .or_default();
        row.files += 1;
        if let (Some(folder), Ok(image)) = (&dump, &result) {
            let head = format!("P6\n{} {}\n255\n", image.width, image.height);
            let file = folder.join(name.replace('/', "__") + ".ppm");
            std::fs::write(file, [head.as_bytes(), &image.pixels].concat())?;
        }
        match &result {
            Ok(_) => row.read += 1,
            Err(DataError::OverLimit { .. }) => row.over_limit += 1,
            Err(_) => row.damaged += 1,
        }
        if list {
            println!("{name}: {}", said(&result));
        }
        let verdict = pillow.get(&name).map_or("?", String::as_str);
        if (verdict == "ok") != result.is_ok() {
            differences.push(format!(
                "| `{name}` | {verdict} | {} |",
                said(&result).replace('|', "\\|")
            ));
        }
    }
    println!("| folder | files | read | refused: damaged or no image | refused: over a limit |");
    println!("|---|---|---|---|---|");
    let mut total = Row::default();
    for (name, row) in &rows {
        print_row(name, row);
        total.files += row.files;
        total.read += row.read;
        total.damaged += row.damaged;
        total.over_limit += row.over_limit;
    }
    print_row("all", &total);
    println!(
        "\nSlowest: {:.0?} ({}). Peak memory: {}.\n",
        slowest.0,
        slowest.1,
        peak_memory()
    );
    println!("| file | Pillow | here |\n|---|---|---|");
    differences.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn print_row(name: &str, row: &Row) {
    println!(
        "| {name} | {} | {} | {} | {} |",
        row.files, row.read, row.damaged, row.over_limit
    );
}

/// What a result says, without the path of the file.
fn said(result: &Result<Image, DataError>) -> String {
    match result {
        Ok(image) => format!("read, {}x{}", image.width, image.height),
        Err(DataError::Unreadable { reason, .. }) => reason.clone(),
        Err(DataError::OverLimit { reason, .. }) => format!("refused: {reason}"),
        Err(error) => error.to_string(),
    }
}

/// The verdicts in `manifest.csv`, by path.
fn pillow(root: &Path) -> Result<BTreeMap<String, String>, std::io::Error> {
    let text = std::fs::read_to_string(root.join("manifest.csv"))?;
    let fields = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    Ok(fields
        .filter(|fields| fields.len() > 3)
        .map(|fields| (fields[0].into(), fields[3].into()))
        .collect())
}

/// The files in the sub-folders, sorted.
fn files(root: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.is_dir() {
            for entry in std::fs::read_dir(folder)? {
                files.push(entry?.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The most memory that this process has held, as Linux tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown".into(), |line| line.trim().into())
}
