//! The documents: what they link to is there, their recipes can be read, their commands are understood.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use trainer::cli::Cli;

/// Where links from the book to other files of the project lead.
const REPOSITORY: &str = "https://github.com/firesight-rs/firesight/blob/main/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of an ending in a folder and those below it, by their path from the root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(files(&path, ending));
        } else if path.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every document with its text.
fn documents() -> Vec<(String, String)> {
    let mut paths = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"]
        .map(String::from)
        .to_vec();
    paths.extend(files("docs", ".md"));
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name();
        paths.push(format!("crates/{}/README.md", name.to_str().unwrap()));
    }
    let read = |path: String| {
        let text = fs::read_to_string(root().join(&path));
        let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// A document's prose, its code left out.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// Blocks of code in one of these languages.
fn blocks<'a>(text: &'a str, languages: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks.filter_map(|block| {
        let (language, code) = block.split_once('\n')?;
        languages.contains(&language).then_some(code)
    })
}

/// The name of a heading in links.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    let letters = letters.chars().map(|c| if c == ' ' { '-' } else { c });
    letters
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
        .collect()
}

#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> = links(&summary).map(|page| format!("docs/{page}")).collect();
    let mut pages: BTreeSet<String> = files("docs", ".md").into_iter().collect();
    assert!(pages.remove("docs/SUMMARY.md"));
    assert_eq!(pages, listed);
}

fn links(prose: &str) -> impl Iterator<Item = &str> {
    let ends = prose.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next())
}

#[test]
fn links_and_pictures_are_there() {
    let mut seen = 0;
    for (path, text) in documents() {
        for link in links(&prose(&text)) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = match file.strip_prefix(REPOSITORY) {
                Some(file) => root().join(file),
                None if file.starts_with("https://") => continue,
                None if file.is_empty() => root().join(&path),
                None => root().join(&path).with_file_name("").join(file),
            };
            assert!(target.exists(), "{path}: {link}");
            if !part.is_empty() {
                let there = fs::read_to_string(&target).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == part), "{path}: {link}");
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn recipes_in_documents_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let base = root().join("configs/classification/digits.toml");
    fs::copy(base, folder.path().join("digits.toml")).unwrap();
    let mut seen = 0;
    for (path, text) in documents() {
        for block in blocks(&text, &["toml"]) {
            // What a document does not say of a recipe is that of the first one.
            let over = match block.contains("extends =") {
                true => String::new(),
                false => "extends = \"digits.toml\"\n".to_owned(),
            };
            let file = folder.path().join("document.toml");
            fs::write(&file, over + block).unwrap();
            if let Err(found) = firesight::recipe::read(&file, &[]) {
                panic!("{path}:\n{block}\n{found}");
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

/// The words of a command line, its comment left out.
fn words(command: &str) -> Vec<&str> {
    let command = command.split(" # ").next().unwrap_or("");
    command.split_whitespace().collect()
}

/// What is wrong with a command of a document; `None` too where it is of another program.
fn problem(command: &str) -> Option<String> {
    let words = words(command);
    let after = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1).copied()
    };
    let missing = |path: &str| !root().join(path).exists();
    let mut recipes = words.iter().filter(|word| word.starts_with("configs/"));
    if let Some(recipe) = recipes.find(|path| missing(path)) {
        return Some(format!("{recipe} is not there"));
    }
    let arguments = match *words.first()? {
        "trainer" => &words[1..],
        "cargo" if *words.get(1)? == "run" => {
            let package = match after("--manifest-path") {
                Some(manifest) if missing(manifest) => return Some(format!("no {manifest}")),
                Some(manifest) => manifest.trim_end_matches("/Cargo.toml").to_owned(),
                None => format!("crates/{}", after("-p")?.trim_start_matches("firesight-")),
            };
            for (option, folder) in [("--bin", "src/bin"), ("--example", "examples")] {
                let program = after(option).map(|name| format!("{package}/{folder}/{name}.rs"));
                if let Some(program) = program.filter(|path| missing(path)) {
                    return Some(format!("no {program}"));
                }
            }
            match words.iter().position(|word| *word == "--") {
                Some(at) if package == "crates/trainer" => &words[at + 1..],
                _ => return missing(&package).then(|| format!("no {package}")),
            }
        }
        _ => return None,
    };
    match Cli::try_parse_from(std::iter::once(&"trainer").chain(arguments)) {
        Err(error) if error.use_stderr() => Some(error.to_string()),
        _ => None,
    }
}

#[test]
fn commands_in_documents_are_understood() {
    let mut commands = Vec::new();
    for (path, text) in documents() {
        let prose = prose(&text).replace('\n', " ");
        let inline = prose.split('`').skip(1).step_by(2).map(str::to_owned);
        let shown: Vec<String> = blocks(&text, &["sh", "text"])
            .map(|block| block.replace("\\\n", " "))
            .collect();
        let shown = shown.iter().flat_map(|block| block.lines());
        let shown = shown.map(|line| line.trim_start_matches("$ ").to_owned());
        let all = inline.chain(shown).map(|command| (path.clone(), command));
        commands.extend(all);
    }
    for path in files("configs", ".toml") {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let head = text.lines().next().unwrap_or("").trim_start_matches("# ");
        assert!(
            head.starts_with("cargo run "),
            "{path} does not open with its command"
        );
        commands.push((path, head.trim_end_matches('\\').to_owned()));
    }
    let ours = |command: &str| command.starts_with("trainer ") || command.starts_with("cargo run ");
    commands.retain(|(_, command)| ours(command));
    for (path, command) in &commands {
        if let Some(problem) = problem(command) {
            panic!("{path}: `{command}`: {problem}");
        }
    }
    assert!(commands.len() > 60, "{}", commands.len());
    assert!(problem("trainer train").is_some() && problem("trainer learn a.toml").is_some());
    assert!(problem("trainer train configs/none.toml").is_some());
}
