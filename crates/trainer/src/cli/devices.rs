//! `trainer devices`: backends compiled in, devices found.

use clap::Args;
use serde::Serialize;

use super::{End, print_json};
use firesight::device::{BACKENDS, select};

/// Arguments of `trainer devices`.
#[derive(Args, Debug)]
pub struct DevicesArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    default: Option<String>,
    backends: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    compiled_in: bool,
    works: bool,
    note: Option<String>,
}

/// Lists the backends; each that is compiled in is tried with a small sum.
///
/// # Errors
/// A standard output that cannot be written.
pub fn run(args: DevicesArgs) -> anyhow::Result<End> {
    let backends = BACKENDS.iter().map(|backend| {
        let compiled_in = backend.is_compiled_in();
        let tried = compiled_in.then(|| select(Some(backend.name)));
        Entry {
            name: backend.name,
            compiled_in,
            works: matches!(tried, Some(Ok(_))),
            note: tried.and_then(Result::err).map(|error| error.to_string()),
        }
    });
    let listing = Listing {
        default: select(None).ok().map(|device| device.name),
        backends: backends.collect(),
    };
    if args.json {
        print_json(&listing)?;
        return Ok(End::Done);
    }
    for entry in &listing.backends {
        let state = match (entry.compiled_in, entry.works) {
            (true, true) => "ready".to_owned(),
            (true, false) => entry.note.clone().unwrap_or_default(),
            (false, _) => format!("not compiled in (--features {})", entry.name),
        };
        let mark = if listing.default.as_deref() == Some(entry.name) {
            "  (default)"
        } else {
            ""
        };
        println!("{:<8} {state}{mark}", entry.name);
    }
    Ok(End::Done)
}
