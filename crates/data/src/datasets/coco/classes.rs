//! From the categories of a file to class indices. Categories are told apart by their ids; two of one name are two
//! classes.

use std::collections::{HashMap, HashSet};

use super::super::json::{Id, Value};
use super::super::problems::same_but_for_case;
use super::file::CategoryEntry;

/// The classes that a training part gives, and the number of each category of one part.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    /// In order.
    pub names: Vec<String>,
    /// The categories of each class in this part: the id of the first.
    pub ids: Vec<Option<Id>>,
    /// The class of each category; nothing for one that is not asked for.
    pub numbers: HashMap<Id, Option<usize>>,
    /// The name of each class as its categories have it, and their ids in the training part.
    origin: Vec<(String, Vec<Id>)>,
    /// Whether the recipe names the classes.
    chosen: bool,
}

/// A category that is in order.
#[derive(Clone, Debug)]
struct Category {
    id: Id,
    name: String,
    /// Its place in the file.
    place: usize,
}

/// What is wrong or was noticed: the JSON pointer and what.
pub(super) type Note = (String, String);

/// The categories in the order of their ids.
fn sorted(entries: Vec<Result<CategoryEntry, Value>>) -> Result<Vec<Category>, Note> {
    let mut found: Vec<Category> = Vec::with_capacity(entries.len());
    let mut places: HashMap<Id, usize> = HashMap::new();
    for (place, entry) in entries.into_iter().enumerate() {
        let pointer = format!("/categories/{place}");
        let entry =
            entry.map_err(|value| (pointer.clone(), format!("is {value}, not an object")))?;
        let wrong = |odd: super::file::Odd| match odd.key {
            Some(key) => (format!("{pointer}/{key}"), odd.reason),
            None => (pointer.clone(), odd.reason),
        };
        if let Some(odd) = entry.odd.into_iter().next() {
            return Err(wrong(odd));
        }
        let (id, name) = (entry.id.map_err(&wrong)?, entry.name.map_err(&wrong)?);
        if let Some(first) = places.insert(id.clone(), place) {
            let reason = format!("the id {id} occurs twice: /categories/{first} has it too");
            return Err((pointer, reason));
        }
        found.push(Category { id, name, place });
    }
    if found.is_empty() {
        return Err(("/categories".into(), "there is none".into()));
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

impl Classes {
    /// The classes of a training part. `used` counts the annotations of each category; `chosen` names the classes that
    /// are asked for, all where it is empty.
    ///
    /// # Errors
    /// Categories that are not in order, a name that none of them has.
    pub fn of_training(
        entries: Vec<Result<CategoryEntry, Value>>,
        used: &HashMap<Id, usize>,
        chosen: &[String],
        notes: &mut Vec<Note>,
    ) -> Result<Self, Note> {
        let categories = sorted(entries)?;
        let shown = shown_names(&categories, used);
        if let Some(twice) = twice(&shown) {
            let reason = format!("two categories would be called `{twice}`");
            return Err(("/categories".into(), reason));
        }
        for (name, other) in same_but_for_case(&shown) {
            let place = shown.iter().position(|shown| shown == name);
            let place = place.map_or(0, |number| categories[number].place);
            let message = format!("the class `{name}` differs from `{other}` in case alone");
            notes.push((format!("/categories/{place}"), message));
        }
        let mut numbers: HashMap<Id, Option<usize>> = HashMap::new();
        let (mut names, mut origin) = (Vec::new(), Vec::new());
        if chosen.is_empty() {
            for (number, (category, shown)) in categories.iter().zip(shown).enumerate() {
                numbers.insert(category.id.clone(), Some(number));
                if shown != category.name {
                    let message = format!(
                        "another category is called `{}` too; this one, of id {}, is the class `{shown}`",
                        category.name, category.id
                    );
                    notes.push((format!("/categories/{}", category.place), message));
                }
                names.push(shown);
                origin.push((category.name.clone(), vec![category.id.clone()]));
            }
        } else {
            for category in &categories {
                numbers.insert(category.id.clone(), None);
            }
            for (number, name) in chosen.iter().enumerate() {
                let of = |by: &dyn Fn(usize) -> bool| -> Vec<&Category> {
                    let places = (0..categories.len()).filter(|place| by(*place));
                    places.map(|place| &categories[place]).collect()
                };
                let mut found = of(&|place| categories[place].name == *name);
                if found.is_empty() {
                    found = of(&|place| shown[place] == *name);
                }
                let Some(first) = found.first() else {
                    let reason = format!(
                        "there is no category `{name}` in it; it has {}",
                        listed(&shown)
                    );
                    return Err(("/categories".into(), reason));
                };
                let ids: Vec<Id> = found.iter().map(|category| category.id.clone()).collect();
                if found.len() > 1 {
                    let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
                    let message = format!(
                        "`{name}` is the name of the categories {}; their objects are one class",
                        ids.join(" and ")
                    );
                    notes.push((format!("/categories/{}", first.place), message));
                }
                for id in &ids {
                    numbers.insert(id.clone(), Some(number));
                }
                names.push(name.clone());
                origin.push((first.name.clone(), ids));
            }
        }
        Ok(Self {
            ids: origin.iter().map(|(_, ids)| ids.first().cloned()).collect(),
            names,
            numbers,
            origin,
            chosen: !chosen.is_empty(),
        })
    }

    /// The same classes with the categories of another part, which are found by name, and by id as well where several
    /// have one name.
    ///
    /// # Errors
    /// Categories that are not in order, or that the training part does not have.
    pub fn of_part(
        &self,
        entries: Vec<Result<CategoryEntry, Value>>,
        notes: &mut Vec<Note>,
    ) -> Result<Self, Note> {
        let mut numbers = HashMap::new();
        let mut ids: Vec<Option<Id>> = vec![None; self.names.len()];
        for category in sorted(entries)? {
            let named = |number: &usize| self.origin[*number].0 == category.name;
            let same: Vec<usize> = (0..self.names.len()).filter(named).collect();
            let by_id = |number: &&usize| self.origin[**number].1.contains(&category.id);
            let number = match same[..] {
                [one] => Some(one),
                [] => None,
                _ => same.iter().find(by_id).copied(),
            };
            if number.is_none() && (!self.chosen || !same.is_empty()) {
                let reason = format!(
                    "`{}` (id {}) is none of the classes of the training part, {}",
                    category.name,
                    category.id,
                    listed(&self.names)
                );
                return Err((format!("/categories/{}", category.place), reason));
            }
            if let Some(number) = number {
                ids[number].get_or_insert(category.id.clone());
            }
            numbers.insert(category.id, number);
        }
        for (name, id) in self.names.iter().zip(&ids) {
            if id.is_none() {
                let message = format!("`{name}` of the training part is not among them");
                notes.push(("/categories".into(), message));
            }
        }
        Ok(Self {
            numbers,
            ids,
            ..self.clone()
        })
    }
}

/// The names of the classes: those of the categories, with the id where several have one name. The only one of them that
/// has annotations keeps the bare name: the others are mostly the root that Roboflow's exports begin with.
fn shown_names(categories: &[Category], used: &HashMap<Id, usize>) -> Vec<String> {
    let shown = |category: &Category| {
        let same = || {
            categories
                .iter()
                .filter(|other| other.name == category.name)
        };
        let is_used = |category: &Category| used.contains_key(&category.id);
        let alone = same().count() == 1;
        match alone || (is_used(category) && same().filter(|other| is_used(other)).count() == 1) {
            true => category.name.clone(),
            false => match &category.id {
                Id::Number(id) => format!("{} (id {id})", category.name),
                Id::Text(id) => format!("{} (id {id})", category.name),
            },
        }
    };
    categories.iter().map(shown).collect()
}

fn twice(names: &[String]) -> Option<&String> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

/// Names for a message, not all where there are many.
pub(super) fn listed(names: &[String]) -> String {
    let some: Vec<String> = names
        .iter()
        .take(20)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len() - some.len() {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}
