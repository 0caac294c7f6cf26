//! A reader for the pickles of `torch.save` that can build tensors and plain data, and nothing else.
//!
//! Python's own reader runs whatever the pickle names. This one knows six names, all of them
//! constructors of tensors or dictionaries, and passes over objects of a few classes of plain data; any other name that
//! would be *called* is refused, and so is every opcode that makes objects in another way. Values live in one arena and refer to each other
//! by index, so deeply nested or cyclic pickles cost no stack.

use std::collections::HashMap;
use std::rc::Rc;

use super::error::Fault;

/// Pickles longer than this are refused; PyTorch keeps tensor contents outside of the pickle.
const LONGEST: usize = 64 << 20;

/// A value; containers are indices into [`Pickle::containers`].
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Text(Rc<str>),
    Tuple(usize),
    List(usize),
    /// Keys and values in turn.
    Dict(usize),
    /// A name that was looked up and not called.
    Name(Rc<str>),
    Storage(Rc<Storage>),
    Tensor(Rc<TensorRef>),
    /// An object of one of the [`INERT`] classes, which was not made.
    Opaque,
}

/// Classes of plain data that trainers put beside the weights: arguments, scores, paths. Objects of them are passed
/// over; nothing is called for them either.
const INERT: [&str; 22] = [
    "argparse.Namespace",
    "types.SimpleNamespace",
    "collections.Counter",
    "collections.deque",
    "builtins.set",
    "__builtin__.set",
    "_codecs.encode",
    "datetime.datetime",
    "datetime.timedelta",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib._local.PosixPath",
    "torch.device",
    "torch.torch_version.TorchVersion",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
];

/// A block of numbers outside of the pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    /// The class, such as `FloatStorage`.
    pub kind: String,
    /// The name of the block.
    pub key: String,
    /// Numbers in the block.
    pub count: usize,
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug)]
pub(super) struct TensorRef {
    pub storage: Rc<Storage>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A pickle that has been read.
pub(super) struct Pickle {
    /// The value it holds.
    pub root: Value,
    /// What the containers hold.
    pub containers: Vec<Vec<Value>>,
    /// Bytes read.
    pub length: usize,
}

impl Pickle {
    /// The pairs of a dictionary whose keys are texts.
    pub(super) fn pairs<'a>(&'a self, value: &Value) -> Option<Vec<(&'a str, &'a Value)>> {
        let Value::Dict(at) = value else { return None };
        let pairs = self.containers[*at].chunks_exact(2);
        Some(
            pairs
                .filter_map(|pair| match &pair[0] {
                    Value::Text(key) => Some((key.as_ref(), &pair[1])),
                    _ => None,
                })
                .collect(),
        )
    }

    /// The contents of a list or tuple.
    pub(super) fn items(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(at) | Value::List(at) => Some(&self.containers[*at]),
            _ => None,
        }
    }
}

/// Reads one pickle from the start of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, Fault> {
    Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        containers: Vec::new(),
        copied: 0,
    }
    .run()
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    containers: Vec<Vec<Value>>,
    /// Items copied out of lists so far.
    copied: usize,
}

impl Machine<'_> {
    fn run(mut self) -> Result<Pickle, Fault> {
        loop {
            let start = self.at;
            if start > LONGEST {
                return Err(self.damaged("the pickle is longer than 64 MiB"));
            }
            match self.byte()? {
                b'.' => {
                    let root = self.pop()?;
                    return Ok(Pickle {
                        root,
                        containers: self.containers,
                        length: self.at,
                    });
                }
                0x80 => self.take(1).map(drop)?, // PROTO
                0x95 => self.take(8).map(drop)?, // FRAME
                b'(' => self.marks.push(self.stack.len()),
                b'0' => self.pop().map(drop)?,
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool),
                0x89 => self.stack.push(Value::Bool),
                b'K' => self.little(1).map(|v| self.stack.push(Value::Int(v)))?,
                b'M' => self.little(2).map(|v| self.stack.push(Value::Int(v)))?,
                b'J' => {
                    let value = self.little(4)? as u32 as i32;
                    self.stack.push(Value::Int(i64::from(value)));
                }
                0x8a => self.long1()?,
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Float);
                }
                b'X' | b'T' => self.text(4)?,
                0x8c | b'U' => self.text(1)?,
                b'C' => self.text(1)?,
                b'B' => self.text(4)?,
                b')' => self.container(Value::Tuple, Vec::new()),
                b']' => self.container(Value::List, Vec::new()),
                b'}' => self.container(Value::Dict, Vec::new()),
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b't' => {
                    let items = self.since_mark()?;
                    self.container(Value::Tuple, items);
                }
                b'l' => {
                    let items = self.since_mark()?;
                    self.container(Value::List, items);
                }
                b'd' => {
                    let items = self.since_mark()?;
                    self.container(Value::Dict, items);
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(vec![item], false)?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.extend(items, false)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.extend(vec![key, value], true)?;
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.extend(items, true)?;
                }
                b'q' => {
                    let slot = self.little(1)? as u32;
                    self.remember(slot)?;
                }
                b'r' => {
                    let slot = self.little(4)? as u32;
                    self.remember(slot)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let slot = self.little(1)? as u32;
                    self.recall(slot)?;
                }
                b'j' => {
                    let slot = self.little(4)? as u32;
                    self.recall(slot)?;
                }
                b'c' => {
                    let module = self.line()?;
                    let name = self.line()?;
                    self.stack
                        .push(Value::Name(format!("{module}.{name}").into()));
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) = (module, name) else {
                        return Err(self.damaged("a name that is no text"));
                    };
                    self.stack
                        .push(Value::Name(format!("{module}.{name}").into()));
                }
                b'Q' => self.persistent()?,
                b'R' => self.call()?,
                // BUILD sets attributes. PyTorch's state dicts carry `_metadata` in this way, which
                // is dropped; the object below stays what it was.
                b'b' => {
                    self.pop()?;
                    if !matches!(
                        self.stack.last(),
                        Some(Value::Dict(_) | Value::Tensor(_) | Value::Opaque)
                    ) {
                        return Err(refused(start, "the pickle sets attributes of an object"));
                    }
                }
                // NEWOBJ: a class and its arguments.
                0x81 if self.makes_inert() => {
                    self.pop()?;
                    self.pop()?;
                    self.stack.push(Value::Opaque);
                }
                0x81 | 0x92 | b'o' | b'i' => {
                    return Err(refused(
                        start,
                        &format!("the pickle makes an object{}", self.last_name()),
                    ));
                }
                b'P' => return Err(refused(start, "the pickle has a textual persistent id")),
                0x82..=0x84 => {
                    return Err(refused(start, "the pickle uses the extension registry"));
                }
                other => {
                    return Err(
                        self.damaged(&format!("pickle opcode {other:#04x} at byte {start}"))
                    );
                }
            }
        }
    }

    /// REDUCE: calls what is on the stack, if it is one of the constructors below.
    fn call(&mut self) -> Result<(), Fault> {
        let start = self.at - 1;
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Name(name) = callee else {
            return Err(refused(start, "the pickle calls something that is no name"));
        };
        let Value::Tuple(arguments) = arguments else {
            return Err(self.damaged("a call without a tuple of arguments"));
        };
        let arguments = match self.containers[arguments].as_slice() {
            few if few.len() <= 16 => few.to_vec(),
            _ => return Err(self.damaged("a call with more than 16 arguments")),
        };
        match name.as_ref() {
            "collections.OrderedDict" => {
                let mut pairs = Vec::new();
                if let Some(Value::List(at)) = arguments.first() {
                    // A list can be named again and again; only as much is copied as was read.
                    self.copied += self.containers[*at].len();
                    if self.copied > self.bytes.len() {
                        return Err(self.damaged("one list is made into dictionaries many times"));
                    }
                    for item in &self.containers[*at] {
                        match item {
                            Value::Tuple(pair) | Value::List(pair)
                                if self.containers[*pair].len() == 2 =>
                            {
                                pairs.extend(self.containers[*pair].clone());
                            }
                            _ => return Err(self.damaged("an OrderedDict of something but pairs")),
                        }
                    }
                }
                self.container(Value::Dict, pairs);
            }
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                let tensor = self.tensor(&arguments)?;
                self.stack.push(Value::Tensor(Rc::new(tensor)));
            }
            "torch._utils._rebuild_parameter" => match arguments.first() {
                Some(tensor @ Value::Tensor(_)) => self.stack.push(tensor.clone()),
                _ => return Err(self.damaged("a parameter without a tensor")),
            },
            "torch.Size" => match arguments.first() {
                Some(Value::Tuple(at) | Value::List(at)) => self.stack.push(Value::Tuple(*at)),
                _ => return Err(self.damaged("a size that is no tuple")),
            },
            "collections.defaultdict" => self.container(Value::Dict, Vec::new()),
            name if INERT.contains(&name) => self.stack.push(Value::Opaque),
            other => return Err(refused(start, &format!("the pickle calls `{other}`"))),
        }
        Ok(())
    }

    /// Whether the class below the arguments on the stack is one of plain data.
    fn makes_inert(&self) -> bool {
        let class = self.stack.len().checked_sub(2).map(|at| &self.stack[at]);
        matches!(class, Some(Value::Name(name)) if INERT.contains(&name.as_ref()))
    }

    /// `(storage, offset, shape, strides, ..)`
    fn tensor(&self, arguments: &[Value]) -> Result<TensorRef, Fault> {
        let wrong = || self.damaged("a tensor with arguments that are none of a tensor's");
        let [
            Value::Storage(storage),
            Value::Int(offset),
            Value::Tuple(shape),
            Value::Tuple(strides),
            ..,
        ] = arguments
        else {
            return Err(wrong());
        };
        let numbers = |at: &usize| -> Option<Vec<usize>> {
            let items = &self.containers[*at];
            let few = items.iter().take(16);
            few.map(|value| match value {
                Value::Int(number) => usize::try_from(*number).ok(),
                _ => None,
            })
            .collect()
        };
        Ok(TensorRef {
            storage: storage.clone(),
            offset: usize::try_from(*offset).map_err(|_| wrong())?,
            shape: numbers(shape).ok_or_else(wrong)?,
            strides: numbers(strides).ok_or_else(wrong)?,
        })
    }

    /// BINPERSID: `("storage", class, key, location, count, ..)`
    fn persistent(&mut self) -> Result<(), Fault> {
        let Value::Tuple(at) = self.pop()? else {
            return Err(self.damaged("a persistent id that is no tuple"));
        };
        let storage = match self.containers[at].as_slice() {
            [
                Value::Text(tag),
                Value::Name(class),
                Value::Text(key),
                _,
                Value::Int(count),
                rest @ ..,
            ] if tag.as_ref() == "storage" && matches!(rest, [] | [Value::None]) => {
                let kind = class
                    .strip_prefix("torch.")
                    .filter(|kind| kind.ends_with("Storage"))
                    .ok_or_else(|| {
                        refused(self.at - 1, &format!("a storage of class `{class}`"))
                    })?;
                let count = usize::try_from(*count)
                    .map_err(|_| self.damaged("a storage of negative length"))?;
                Storage {
                    kind: kind.to_string(),
                    key: key.to_string(),
                    count,
                }
            }
            _ => return Err(self.damaged("a persistent id that is no storage")),
        };
        self.stack.push(Value::Storage(Rc::new(storage)));
        Ok(())
    }

    fn container(&mut self, make: fn(usize) -> Value, items: Vec<Value>) {
        self.stack.push(make(self.containers.len()));
        self.containers.push(items);
    }

    fn tuple(&mut self, count: usize) -> Result<(), Fault> {
        let from = self
            .stack
            .len()
            .checked_sub(count)
            .ok_or_else(|| self.damaged("the stack is empty"))?;
        let items = self.stack.split_off(from);
        self.container(Value::Tuple, items);
        Ok(())
    }

    /// Adds to the list or dictionary on top of the stack.
    fn extend(&mut self, items: Vec<Value>, pairs: bool) -> Result<(), Fault> {
        let at = match (self.stack.last(), pairs) {
            (Some(Value::Dict(at)), true) if items.len().is_multiple_of(2) => *at,
            (Some(Value::List(at)), false) => *at,
            (Some(Value::Opaque), _) => return Ok(()),
            _ => return Err(self.damaged("items for something that holds none")),
        };
        self.containers[at].extend(items);
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Fault> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.damaged("no mark on the stack")),
        }
    }

    fn remember(&mut self, slot: u32) -> Result<(), Fault> {
        let value = self
            .stack
            .last()
            .ok_or_else(|| self.damaged("the stack is empty"))?
            .clone();
        self.memo.insert(slot, value);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), Fault> {
        let value = self
            .memo
            .get(&slot)
            .ok_or_else(|| self.damaged("an unknown memo slot"))?
            .clone();
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        self.stack
            .pop()
            .ok_or_else(|| self.damaged("the stack is empty"))
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Fault> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.damaged("the pickle is cut off, or a length in it is too large"));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned number of up to four bytes.
    fn little(&mut self, count: usize) -> Result<i64, Fault> {
        let bytes = self.take(count)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | i64::from(byte)))
    }

    /// LONG1: a signed number of up to eight bytes; a longer one (a magic number) becomes 0.
    fn long1(&mut self) -> Result<(), Fault> {
        let count = self.little(1)? as usize;
        let bytes = self.take(count)?;
        let mut value = 0i64;
        if (1..=8).contains(&count) {
            let mut wide = if bytes[count - 1] & 0x80 == 0 {
                [0; 8]
            } else {
                [0xff; 8]
            };
            wide[..count].copy_from_slice(bytes);
            value = i64::from_le_bytes(wide);
        }
        self.stack.push(Value::Int(value));
        Ok(())
    }

    /// A text with a length of so many bytes before it.
    fn text(&mut self, width: usize) -> Result<(), Fault> {
        let length = self.little(width)? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn line(&mut self) -> Result<String, Fault> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take(1024)
            .position(|&byte| byte == b'\n')
            .ok_or_else(|| self.damaged("a name without an end"))?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    /// The last name on the stack, for a message.
    fn last_name(&self) -> String {
        let name = self.stack.iter().rev().find_map(|value| match value {
            Value::Name(name) => Some(format!(" of `{name}`")),
            _ => None,
        });
        name.unwrap_or_default()
    }

    fn damaged(&self, what: &str) -> Fault {
        Fault::Damaged(format!("{what} (byte {} of the pickle)", self.at))
    }
}

fn refused(at: usize, what: &str) -> Fault {
    Fault::Refused(format!("{what} (byte {at} of the pickle)"))
}
