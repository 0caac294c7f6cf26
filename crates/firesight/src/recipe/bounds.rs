//! Every number that a recipe may hold has both bounds: the schema of [`Recipe`] names the numbers, and each is given
//! absurd values. What is accepted all the same is listed here with the reason why it does no harm.

use std::collections::BTreeSet;

use firesight_recipe::Diagnostics;
use serde_json::Value;

use super::{Recipe, read};

/// A recipe that is right, over which one value is laid at a time.
const RIGHT: &str = r#"
epochs = 5000
data = { source = { digits = {} }, batch-size = 64 }
task = { classification = { model = { cnn = {} } } }
optimizer = { sgd = { learning-rate = 0.1 } }
"#;

/// Stands for the number in a text.
const HERE: &str = "\u{1}";

/// A number of the schema.
#[derive(Debug)]
struct Number {
    /// Its path: `data.augment[].rotate.degrees`.
    path: String,
    whole: bool,
    /// The value that the schema states for it.
    default: Option<String>,
    /// `--set` as text, [`HERE`] in the number's place.
    set: String,
}

struct Walk<'s> {
    definitions: &'s serde_json::Map<String, Value>,
    seen: BTreeSet<String>,
    found: Vec<Number>,
}

impl<'s> Walk<'s> {
    /// Follows references and options.
    fn resolve(&self, mut schema: &'s Value) -> (&'s Value, Option<&'s str>) {
        let mut name = None;
        loop {
            if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
                let target = target.rsplit('/').next().unwrap();
                name = Some(target);
                schema = &self.definitions[target];
            } else if let Some(some) = optional(schema) {
                schema = some;
            } else {
                return (schema, name);
            }
        }
    }

    /// A value that a schema takes, as TOML.
    fn example(&self, schema: &'s Value) -> String {
        if let Some(default) = schema.get("default").filter(|value| !value.is_null()) {
            return toml(default);
        }
        let (schema, _) = self.resolve(schema);
        if let Some(first) = schema["oneOf"].get(0) {
            return match first.get("const").or_else(|| first["enum"].get(0)) {
                Some(word) => toml(word),
                None => self.example(first),
            };
        }
        match kind(schema) {
            "integer" => "8".into(),
            "number" => "0.5".into(),
            "boolean" => "true".into(),
            "string" => "\"x\"".into(),
            "array" => match schema["minItems"].as_u64() {
                Some(count) => {
                    let item = schema["items"].get(0).unwrap_or(&schema["items"]);
                    format!("[{}]", vec![self.example(item); count as usize].join(", "))
                }
                None => "[]".into(),
            },
            _ => self.table(schema, None),
        }
    }

    /// A table with its required keys, and one more or other.
    fn table(&self, schema: &'s Value, key: Option<(&str, &str)>) -> String {
        let empty = Vec::new();
        let required = schema["required"].as_array().unwrap_or(&empty);
        let required = required.iter().filter_map(Value::as_str);
        let others = required.filter(|name| key.is_none_or(|(key, _)| key != *name));
        let mut entries: Vec<String> = others
            .map(|name| format!("{name} = {}", self.example(&schema["properties"][name])))
            .collect();
        entries.extend(key.map(|(key, value)| format!("{key} = {value}")));
        format!("{{ {} }}", entries.join(", "))
    }

    /// Collects the numbers of a schema; `around` is the text of what stands around a value of it.
    fn walk(&mut self, schema: &'s Value, path: &str, around: &str, default: Option<&'s Value>) {
        let (schema, name) = self.resolve(schema);
        // A type that stands in several places is checked at the first.
        if let Some(name) = name
            && !self.seen.insert(name.to_owned())
            && kind(schema) != "number"
            && kind(schema) != "integer"
        {
            return;
        }
        let inside = |text: &str| around.replace(HERE, text);
        if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
            for variant in variants {
                self.walk(variant, path, around, None);
            }
            return;
        }
        match kind(schema) {
            "integer" | "number" => self.found.push(Number {
                path: path.to_owned(),
                whole: kind(schema) == "integer",
                default: default.filter(|value| !value.is_null()).map(toml),
                set: around.to_owned(),
            }),
            "array" => {
                let item = schema["items"].get(0).unwrap_or(&schema["items"]);
                // Colors and the like have their bounds by type.
                if self.resolve(item).0["maximum"] == 255 {
                    return;
                }
                // As many as the default has: fewer may be a fault of their own.
                let usual = default.and_then(Value::as_array).map_or(1, Vec::len).max(1);
                let count = schema["minItems"]
                    .as_u64()
                    .map_or(usual, |count| count as usize);
                let default = default.and_then(|list| list.get(0));
                let rest = match default {
                    Some(first) => toml(first),
                    None => self.example(item),
                };
                let mut items = vec![rest; count];
                items[0] = HERE.to_owned();
                let around = inside(&format!("[{}]", items.join(", ")));
                self.walk(item, &format!("{path}[]"), &around, default);
            }
            _ => {
                let properties = schema.get("properties").and_then(Value::as_object);
                for (key, property) in properties.into_iter().flatten() {
                    let (path, around) = match path {
                        "" => (key.clone(), format!("{key}={HERE}")),
                        path => {
                            let table = self.table(schema, Some((key, HERE)));
                            (format!("{path}.{key}"), inside(&table))
                        }
                    };
                    self.walk(property, &path, &around, property.get("default"));
                }
            }
        }
    }
}

/// What stands inside an option.
fn optional(schema: &Value) -> Option<&Value> {
    let parts = schema.get("anyOf")?.as_array()?;
    parts.iter().find(|part| part["type"] != "null")
}

fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or_default(),
        kind => kind.as_str().unwrap_or_default(),
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries = table.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(toml).collect::<Vec<_>>().join(", ")
            )
        }
        other => other.to_string(),
    }
}

/// All numbers of a recipe.
fn numbers() -> Vec<Number> {
    let schema = schemars::schema_for!(Recipe);
    let definitions = schema.as_value()["$defs"].as_object().unwrap();
    let mut walk = Walk {
        definitions,
        seen: BTreeSet::new(),
        found: Vec::new(),
    };
    walk.walk(schema.as_value(), "", HERE, None);
    walk.found
}

/// A number as it is written beside others that it must agree with; elsewhere the schema's default or a guess serves.
fn usual(path: &str) -> Option<&'static str> {
    Some(match path {
        "data.batch-size" => "64",
        "epochs" => "5000",
        "max-steps" => "100",
        _ => return None,
    })
}

/// Numbers that may be as large as their type, since they only count up to what happens, or key random draws.
const COUNTED: [&str; 21] = [
    "seed",
    "epochs",
    "max-steps",
    "data.max-bad",
    "data.split.seed",
    "data.source.scenes.seed",
    "data.source.folder.decode.max-file-bytes",
    "data.source.folder.decode.max-pixels",
    "data.source.pairs.test.first",
    "data.source.pairs.test.last",
    "checkpoint.every-epochs",
    "checkpoint.every-steps",
    "checkpoint.keep",
    "early-stopping.patience",
    "evaluate.every-epochs",
    "evaluate.every-steps",
    "schedule.plateau.cooldown",
    "schedule.plateau.patience",
    "task.generation.pictures-every",
    "data.split.test.count",
    "data.split.test.last",
];

/// What is wrong with a recipe that holds a value of a number.
fn with(number: &Number, value: &str) -> Diagnostics {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    std::fs::write(&path, RIGHT).unwrap();
    let read = read(&path, &[number.set.replace(HERE, value)]);
    read.map_or_else(|found| found, |_| Diagnostics(Vec::new()))
}

#[test]
fn every_number_has_both_bounds_or_a_reason() {
    let numbers = numbers();
    assert!(numbers.len() > 180, "{}", numbers.len());
    let mut wrong = Vec::new();
    for number in &numbers {
        // Some of the tables around a number are not right by themselves: a dataset without its folder. What counts is
        // whether an absurd number is one fault more than a usual one.
        let guesses = ["1", "0.5", "8", "32", "2", "5", "0", "100", "300"];
        let usual = usual(&number.path)
            .into_iter()
            .chain(number.default.as_deref());
        let faults = usual
            .chain(guesses)
            .map(|value| with(number, value).0.len());
        let least = faults.min().unwrap();
        let absurd: &[&str] = match number.whole {
            true => &["-1", "9223372036854775807"],
            false => &["nan", "inf", "-inf", "1e30", "-1e30", "1e300"],
        };
        for value in absurd {
            let found = with(number, value);
            let counted = value.starts_with("922") && COUNTED.contains(&number.path.as_str());
            if found.0.len() <= least && !counted {
                wrong.push(format!("{} = {value} is taken: {found}", number.path));
            }
            // The place is that of the value, or of the table or list around it.
            if found.0.iter().any(|fault| fault.line().is_none()) {
                wrong.push(format!(
                    "{} = {value}: without a place: {found}",
                    number.path
                ));
            }
        }
    }
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{count} of {}:\n{}",
        numbers.len(),
        wrong.join("\n")
    );
}

/// The exceptions are numbers that there are.
#[test]
fn the_numbers_without_an_upper_bound_exist() {
    let numbers = numbers();
    for path in COUNTED {
        assert!(numbers.iter().any(|number| number.path == path), "{path}");
    }
}
