//! Pascal VOC's XML: the size of a picture and its objects, each element understood or said to be what it is instead.

use roxmltree::{Document, Node};

use super::super::objects::{alike, yes_or_no};

/// Something that is wrong: the line of the file (0 for none) and what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub line: u32,
    pub reason: String,
}

/// What an annotation file says.
#[derive(Debug, Default)]
pub(super) struct Annotation {
    /// The `filename`, where it is given.
    pub filename: Option<String>,
    /// Width and height, where they are given.
    pub stated: Option<[usize; 2]>,
    pub objects: Vec<Reading>,
    /// What is wrong with the file as a whole.
    pub faults: Vec<Fault>,
    /// What is not read or was taken in one of two ways, as kinds of remarks.
    pub asides: Vec<Fault>,
}

/// An object as far as it is understood.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The line that it begins in.
    pub line: u32,
    pub name: Option<String>,
    /// `xmin ymin xmax ymax` as written.
    pub bounds: Option<[f64; 4]>,
    pub difficult: bool,
    pub faults: Vec<Fault>,
}

impl Annotation {
    /// Reads the bytes of a file.
    pub fn parse(bytes: &[u8]) -> Self {
        let one = |line, reason: String| Self {
            faults: vec![Fault { line, reason }],
            ..Self::default()
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if matches!(
            bytes,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..] | [0, ..]
        ) {
            return one(0, "not UTF-8 but UTF-16; save it as UTF-8".into());
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return one(0, "not UTF-8; save it as UTF-8".into());
        };
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => return one(error.pos().row, format!("malformed XML: {error}")),
        };
        let root = document.root_element();
        if !root.has_tag_name("annotation") {
            let name = root.tag_name().name();
            let reason = format!("the outermost element is `{name}`, not `annotation`");
            return one(line(root), reason);
        }
        let mut annotation = Self::default();
        annotation.read(root);
        annotation
    }

    /// What there is of a file that cannot be read.
    pub fn unread(error: &std::io::Error) -> Self {
        Self {
            faults: vec![Fault {
                line: 0,
                reason: format!("cannot read: {error}"),
            }],
            ..Self::default()
        }
    }

    fn read(&mut self, root: Node) {
        let mut reader = Reader {
            faults: Vec::new(),
            asides: Vec::new(),
        };
        reader.children(
            root,
            &["filename", "size", "object"],
            &["folder", "path", "source", "owner", "segmented"],
        );
        self.filename = reader
            .only(root, "filename")
            .and_then(|node| reader.text(node));
        if let Some(size) = reader.only(root, "size") {
            let faults = reader.faults.len();
            reader.children(size, &["width", "height"], &["depth"]);
            self.stated = reader.size(size, faults);
        }
        for object in root.children().filter(|node| node.has_tag_name("object")) {
            self.objects.push(reader.object(object));
        }
        self.faults = reader.faults;
        self.asides = reader.asides;
    }
}

fn line(node: Node) -> u32 {
    node.document().text_pos_at(node.range().start).row
}

/// Gathers what is wrong on the way.
struct Reader {
    faults: Vec<Fault>,
    asides: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, node: Node, reason: String) {
        let line = line(node);
        self.faults.push(Fault { line, reason });
    }

    fn aside(&mut self, node: Node, reason: String) {
        let line = line(node);
        self.asides.push(Fault { line, reason });
    }

    /// Looks for elements that are not read: one that is written like a known one is a fault.
    fn children(&mut self, node: Node, read: &[&str], unread: &[&str]) {
        let parent = node.tag_name().name();
        // labelImg marks what a person has looked through.
        for attribute in node.attributes().filter(|a| a.name() != "verified") {
            let name = attribute.name();
            self.aside(
                node,
                format!("the attribute `{name}` of `{parent}` is not read"),
            );
        }
        for child in node.children().filter(Node::is_element) {
            let name = child.tag_name().name();
            if read.contains(&name) || unread.contains(&name) {
                continue;
            }
            match read.iter().find(|known| alike(known, name)) {
                Some(known) => self.fault(
                    child,
                    format!("the element `{name}` in `{parent}`; is `{known}` meant?"),
                ),
                None => self.aside(
                    child,
                    format!("the element `{name}` in `{parent}` is not read"),
                ),
            }
        }
    }

    /// The child of that name; a second one is a fault.
    fn only<'a, 'input>(&mut self, node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
        let mut children = node.children().filter(|child| child.has_tag_name(name));
        let first = children.next();
        if let Some(second) = children.next() {
            let parent = node.tag_name().name();
            self.fault(second, format!("a second `{name}` in `{parent}`"));
        }
        first
    }

    /// The text of an element, nothing where it is empty; elements in it are a fault.
    fn text(&mut self, node: Node) -> Option<String> {
        if let Some(child) = node.children().find(Node::is_element) {
            let (name, other) = (node.tag_name().name(), child.tag_name().name());
            self.fault(
                child,
                format!("an element `{other}` in `{name}`, which is a text"),
            );
            return None;
        }
        // Comments cut a text into pieces.
        let text: String = node
            .children()
            .filter_map(|child| child.text().filter(|_| child.is_text()))
            .collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The text of a child that must be there.
    fn needed(&mut self, node: Node, name: &str) -> Option<String> {
        let before = self.faults.len();
        let child = self.only(node, name);
        let text = child.and_then(|child| self.text(child));
        if text.is_none() && self.faults.len() == before {
            let parent = node.tag_name().name();
            let reason = match child {
                Some(_) => format!("`{name}` in `{parent}` is empty"),
                None => format!("`{parent}` without `{name}`"),
            };
            self.fault(child.unwrap_or(node), reason);
        }
        text
    }

    /// Width and height; a remark where one is missing and there are no more than `faults`.
    fn size(&mut self, size: Node, faults: usize) -> Option<[usize; 2]> {
        let mut sides = [None; 2];
        let mut given = [false; 2];
        for (at, name) in ["width", "height"].into_iter().enumerate() {
            let Some(side) = self.only(size, name) else {
                continue;
            };
            let Some(text) = self.text(side) else {
                continue;
            };
            given[at] = true;
            match text.parse::<f64>() {
                Ok(n) if n.fract() == 0.0 && (0.0..1e9).contains(&n) => {
                    sides[at] = (n > 0.0).then_some(n as usize);
                }
                _ => self.fault(
                    side,
                    format!("`{name}` is `{text}`, not a number of pixels"),
                ),
            }
        }
        match (sides, given) {
            ([Some(width), Some(height)], _) => Some([width, height]),
            (_, [false, false]) => None,
            _ if self.faults.len() > faults => None,
            _ => {
                let reason = "its `size` does not give both width and height, and is not compared with the picture";
                self.aside(size, reason.into());
                None
            }
        }
    }

    fn object(&mut self, node: Node) -> Reading {
        let mut inner = Self {
            faults: Vec::new(),
            asides: Vec::new(),
        };
        inner.children(
            node,
            &["name", "bndbox", "difficult", "truncated"],
            &[
                "pose", "occluded", "part", "actions", "point", "polygon", "view",
            ],
        );
        let name = inner.needed(node, "name");
        let bounds = match inner.only(node, "bndbox") {
            Some(bounds) => inner.bounds(bounds),
            None => {
                let children = node.children().filter(Node::is_element);
                let names: Vec<String> = children
                    .map(|child| format!("`{}`", child.tag_name().name()))
                    .collect();
                let has = match names.is_empty() {
                    true => "nothing".to_owned(),
                    false => names.join(", "),
                };
                inner.fault(node, format!("an object without `bndbox`; it has {has}"));
                None
            }
        };
        let mut flag = |name: &str| {
            let text = inner.only(node, name).and_then(|flag| inner.text(flag));
            text.is_some_and(|text| {
                yes_or_no(&text).unwrap_or_else(|| {
                    let reason = format!("`{name}` is `{text}`, neither yes nor no; taken for no");
                    inner.aside(node, reason);
                    false
                })
            })
        };
        let difficult = flag("difficult");
        flag("truncated");
        self.asides.append(&mut inner.asides);
        Reading {
            line: line(node),
            name,
            bounds,
            difficult,
            faults: inner.faults,
        }
    }

    fn bounds(&mut self, node: Node) -> Option<[f64; 4]> {
        const EDGES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];
        self.children(node, &EDGES, &[]);
        let mut bounds = [None; 4];
        for (bound, name) in bounds.iter_mut().zip(EDGES) {
            let Some(text) = self.needed(node, name) else {
                continue;
            };
            *bound = text.parse().ok();
            if bound.is_none() {
                self.fault(node, format!("`{name}` is `{text}`, not a number"));
            }
        }
        match bounds {
            [Some(x1), Some(y1), Some(x2), Some(y2)] => Some([x1, y1, x2, y2]),
            _ => None,
        }
    }
}
