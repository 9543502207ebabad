//! Reading YAML, piece by piece as the parser hands it out: nothing is built that bounds have not let pass.
//!
//! Texts are taken as they are written: there is no YAML in which `PORT: 0080` or `TLS: yes` would become something else.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Content, DEEPEST, Entry, Fault, Keys, LARGEST_CONTENT, Node, Place, check_size, too_deep};

/// What something costs besides its text, about.
const NODE_COST: usize = 128;

/// The document that a text in YAML is.
pub(in crate::manifest) fn read(text: &str) -> Result<Node, Fault> {
    check_size(text)?;
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: HashMap::new(), cost: 0 };
    reader.document()
}

struct Reader<'text> {
    events: Parser<'text, StrInput<'text>>,
    /// What aliases stand for, and what it costs.
    anchors: HashMap<usize, (Node, usize)>,
    /// What has been built.
    cost: usize,
}

impl<'text> Reader<'text> {
    /// The one document of the text.
    fn document(&mut self) -> Result<Node, Fault> {
        let mut document = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::DocumentStart(_), place) if document.is_some() => {
                    return Err(fault(place, "a second document begins here, and a manifest is one"));
                }
                (Event::DocumentStart(_), _) => {
                    let (event, place) = self.next()?;
                    document = Some(self.node(event, place, 1)?);
                }
                (_, place) => return Err(fault(place, "this is no document")),
            }
        }
        document.ok_or_else(|| Fault::of_document("it is empty"))
    }

    fn next(&mut self) -> Result<(Event<'text>, Place), Fault> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => {
                let mark = error.marker();
                Err(fault(Place { line: mark.line(), column: mark.col() + 1 }, error.info()))
            }
            None => Err(Fault::of_document("it ends too soon")),
        }
    }

    /// What begins with this event.
    fn node(&mut self, event: Event<'text>, place: Place, depth: usize) -> Result<Node, Fault> {
        if depth > DEEPEST {
            return Err(fault(place, too_deep()));
        }
        let before = self.cost;
        let (content, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_ref(), place)?;
                self.pay(NODE_COST + text.len(), place)?;
                (scalar(text, style), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_ref(), place)?;
                self.pay(NODE_COST, place)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_ref(), place)?;
                self.pay(NODE_COST, place)?;
                (self.mapping(depth)?, anchor)
            }
            _ => return Err(fault(place, "a value is missing here")),
        };
        let node = Node { place: Some(place), content };
        if anchor > 0 {
            let cost = self.cost - before;
            self.pay(cost, place)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        Ok(node)
    }

    /// Another copy of what has an anchor.
    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Fault> {
        let known = self.anchors.get(&anchor).map(|(_, cost)| *cost);
        self.pay(known.ok_or_else(|| fault(place, "an alias stands in what it stands for"))?, place)?;
        Ok(self.anchors[&anchor].0.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Content, Fault> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(nodes)),
                (event, place) => nodes.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Content, Fault> {
        let (mut keys, mut entries) = (Keys::default(), Vec::new());
        loop {
            let (event, place) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Content::Mapping(entries));
            }
            let key = match self.node(event, place, depth + 1)?.content {
                Content::Text(key) | Content::Literal(key) => key,
                _ => return Err(fault(place, "a key is neither text nor a number")),
            };
            keys.add(&key).map_err(|reason| fault(place, reason))?;
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, depth + 1)?;
            entries.push(Entry { key, place: Some(place), value });
        }
    }

    /// Refuses to build more than may be.
    fn pay(&mut self, cost: usize, place: Place) -> Result<(), Fault> {
        self.cost += cost;
        if self.cost <= LARGEST_CONTENT {
            return Ok(());
        }
        Err(fault(place, format!("with its aliases it grows beyond {LARGEST_CONTENT} bytes")))
    }
}

/// What a single value is. Only what is written without quotes can be nothing, a number or a truth value.
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

/// Whether a plain text is a number to YAML, not counting its names for infinity.
fn is_number(text: &str) -> bool {
    let whole = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let hexadecimal = text.strip_prefix("0x").is_some_and(|digits| whole(digits, 16));
    let octal = text.strip_prefix("0o").is_some_and(|digits| whole(digits, 8));
    let begins = text.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_digit() || first == '.');
    hexadecimal || octal || (begins && text.parse::<f64>().is_ok())
}

fn refuse_tag(tag: Option<&Cow<'_, Tag>>, place: Place) -> Result<(), Fault> {
    match tag {
        None => Ok(()),
        Some(_) => Err(fault(place, "tags such as !!str have no place in a manifest: put a text in quotes instead")),
    }
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn fault(place: Place, reason: impl Into<String>) -> Fault {
    Fault::of_document(reason).placed(Some(place))
}
