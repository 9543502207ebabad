//! Reads YAML event by event, and checks the limits before each value is built.
//!
//! Values keep the text in which they are written: `PORT: 0080` and `TLS: yes` are not converted.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Content, DEEPEST, DocumentError, Entry, Keys, LARGEST_CONTENT, Node, Position, check_size, too_deep};

/// The approximate size of a value besides its text, in bytes.
const NODE_COST: usize = 128;

/// Reads a document in YAML.
///
/// # Errors
/// Why it cannot be read, with the position if it is known.
pub fn read(text: &str) -> Result<Node, DocumentError> {
    check_size(text)?;
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), cost: 0 };
    reader.document()
}

struct Reader<'text> {
    events: Parser<'text, StrInput<'text>>,
    /// The values that aliases stand for.
    anchors: HashMap<usize, AnchoredNode>,
    /// The size of all values that have been built, in bytes.
    cost: usize,
}

/// A value with an anchor, and its size in bytes.
struct AnchoredNode {
    node: Node,
    cost: usize,
}

impl<'text> Reader<'text> {
    /// Reads the single document of the text.
    fn document(&mut self) -> Result<Node, DocumentError> {
        let mut document = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::DocumentStart(_), position) if document.is_some() => {
                    return Err(error_at(position, "a second document begins here, and a file holds one"));
                }
                (Event::DocumentStart(_), _) => {
                    let (event, position) = self.next()?;
                    document = Some(self.node(event, position, 1)?);
                }
                (_, position) => return Err(error_at(position, "this is not a document")),
            }
        }
        document.ok_or_else(|| DocumentError::of_document("it is empty"))
    }

    fn next(&mut self) -> Result<(Event<'text>, Position), DocumentError> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, position(&span))),
            Some(Err(error)) => {
                let mark = error.marker();
                Err(error_at(Position { line: mark.line(), column: mark.col() + 1 }, error.info()))
            }
            None => Err(DocumentError::of_document("it ends unexpectedly")),
        }
    }

    /// Reads the value that begins with this event.
    fn node(&mut self, event: Event<'text>, position: Position, depth: usize) -> Result<Node, DocumentError> {
        if depth > DEEPEST {
            return Err(error_at(position, too_deep()));
        }
        let before = self.cost;
        let (content, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, position),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_ref(), position)?;
                self.pay(NODE_COST + text.len(), position)?;
                (scalar(text, style), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_ref(), position)?;
                self.pay(NODE_COST, position)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_ref(), position)?;
                self.pay(NODE_COST, position)?;
                (self.mapping(depth)?, anchor)
            }
            _ => return Err(error_at(position, "a value is missing here")),
        };
        let node = Node { position: Some(position), content };
        if anchor > 0 {
            let cost = self.cost - before;
            self.pay(cost, position)?;
            self.anchors.insert(anchor, AnchoredNode { node: node.clone(), cost });
        }
        Ok(node)
    }

    /// Returns a copy of the value with an anchor.
    fn alias(&mut self, anchor: usize, position: Position) -> Result<Node, DocumentError> {
        let cost = self.anchors.get(&anchor).map(|anchored| anchored.cost);
        self.pay(cost.ok_or_else(|| error_at(position, "an alias refers to a value that contains it"))?, position)?;
        Ok(self.anchors[&anchor].node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Content, DocumentError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(nodes)),
                (event, position) => nodes.push(self.node(event, position, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Content, DocumentError> {
        let mut keys = Keys::default();
        let mut entries = Vec::new();
        loop {
            let (event, position) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Content::Mapping(entries));
            }
            let key = match self.node(event, position, depth + 1)?.content {
                Content::Text(key) | Content::Literal(key) => key,
                _ => return Err(error_at(position, "a key is neither a text nor a number")),
            };
            keys.add(&key).map_err(|reason| error_at(position, reason))?;
            let (event, value_position) = self.next()?;
            let value = self.node(event, value_position, depth + 1)?;
            entries.push(Entry { key, position: Some(position), value });
        }
    }

    /// Adds the size of a value, unless the document would grow too large.
    fn pay(&mut self, cost: usize, position: Position) -> Result<(), DocumentError> {
        self.cost += cost;
        if self.cost <= LARGEST_CONTENT {
            return Ok(());
        }
        Err(error_at(
            position,
            format!("it grows beyond the limit of {LARGEST_CONTENT} bytes when its aliases are expanded"),
        ))
    }
}

/// Returns the content of a scalar. Only scalars without quotes can be empty, a number or a boolean.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Content {
    if style != ScalarStyle::Plain {
        return Content::Text(text.into_owned());
    }
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Content::Nothing,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Content::Literal(text.into_owned()),
        number if is_number(number) => Content::Literal(text.into_owned()),
        _ => Content::Text(text.into_owned()),
    }
}

/// Returns whether a plain scalar is a number in YAML. Infinity and NaN are texts here.
fn is_number(text: &str) -> bool {
    let whole = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let hexadecimal = text.strip_prefix("0x").is_some_and(|digits| whole(digits, 16));
    let octal = text.strip_prefix("0o").is_some_and(|digits| whole(digits, 8));
    let begins = text.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_digit() || first == '.');
    hexadecimal || octal || (begins && text.parse::<f64>().is_ok())
}

fn refuse_tag(tag: Option<&Cow<'_, Tag>>, position: Position) -> Result<(), DocumentError> {
    match tag {
        None => Ok(()),
        Some(_) => Err(error_at(position, "tags such as !!str are not supported: put a text in quotes instead")),
    }
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn error_at(position: Position, reason: impl Into<String>) -> DocumentError {
    DocumentError::of_document(reason).at_position(Some(position))
}
