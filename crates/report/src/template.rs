//! The page templates. Every value is escaped by the engine; nothing in a template marks a value as
//! safe but the style sheet, which is a file of this crate, and data URIs, which are base64.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;

use crate::error::ReportError;

const STYLE: &str = include_str!("../templates/style.css");
const PARTS: &str = include_str!("../templates/parts.html");
const REPORT: &str = include_str!("../templates/report.html");
const COMPARE: &str = include_str!("../templates/compare.html");

/// Fills the template `name` (`report.html` or `compare.html`).
pub(crate) fn render(name: &'static str, page: &impl Serialize) -> Result<String, ReportError> {
    let failed = |error: minijinja::Error| ReportError::Template {
        template: name,
        reason: format!("{error:#}"),
    };
    let mut engine = Environment::new();
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in [
        ("parts.html", PARTS),
        ("report.html", REPORT),
        ("compare.html", COMPARE),
    ] {
        engine.add_template(name, text).map_err(failed)?;
    }
    engine.add_global("style", Value::from_safe_string(STYLE.to_string()));
    let template = engine.get_template(name).map_err(failed)?;
    template.render(Value::from(Serde(page))).map_err(failed)
}
