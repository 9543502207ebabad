//! The keys of mappings, and the types of their values.

use std::collections::HashMap;

use super::{Content, DocumentError, Entry, Node, Position, inner};

/// The value of a key.
#[derive(Debug)]
pub struct Field {
    /// The value.
    pub node: Node,
    /// The full key in errors, such as `links[0].values`.
    pub key: String,
}

/// The entries of a mapping with known keys.
#[derive(Debug)]
pub struct Fields {
    /// The key of the mapping in errors. Empty for the document.
    name: String,
    position: Option<Position>,
    entries: HashMap<String, Entry>,
}

impl Fields {
    /// Returns the entries of a mapping.
    ///
    /// # Errors
    /// An error if the value is not a mapping, or has an unknown key.
    pub fn of(node: Node, name: String, known: &[&str]) -> Result<Fields, DocumentError> {
        let position = node.position;
        let Content::Mapping(entries) = node.content else {
            return Err(wrong(&node, &name, &format!("a mapping of {}", known.join(", "))));
        };
        for entry in &entries {
            if !known.contains(&entry.key.as_str()) {
                let meant = closest(&entry.key, known).map(|meant| format!(": did you mean {meant}?"));
                let meant = meant.unwrap_or_default();
                let reason = format!("the key is unknown{meant} (known keys: {})", known.join(", "));
                return Err(DocumentError::at(inner(&name, &entry.key), reason).at_position(entry.position));
            }
        }
        let entries = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Ok(Fields { name, position, entries })
    }

    /// Removes the value of a key, and returns it with its full key. An empty value counts as absent.
    pub fn take(&mut self, key: &str) -> Option<Field> {
        let node = self.entries.remove(key)?.value;
        if matches!(node.content, Content::Nothing) { None } else { Some(Field { node, key: inner(&self.name, key) }) }
    }

    /// Removes the text of a key, if it is there.
    ///
    /// # Errors
    /// An error if it is no text.
    pub fn optional(&mut self, key: &str) -> Result<Option<String>, DocumentError> {
        self.take(key).map(|Field { node, key }| text(node, key)).transpose()
    }

    /// Reads a quantity, such as a size, with `read`. A text is accepted too, because it may result from a variable.
    ///
    /// # Errors
    /// An error if it is no number, or `read` refuses it.
    pub fn quantity<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, DocumentError> {
        let Some(Field { node, key }) = self.take(key) else { return Ok(None) };
        match &node.content {
            Content::Text(text) | Content::Literal(text) => {
                read(text).map(Some).map_err(|expected| DocumentError::at(&key, expected).at_position(node.position))
            }
            _ => Err(wrong(&node, &key, "a number")),
        }
    }

    /// Removes the word of a key, and returns what it stands for.
    ///
    /// # Errors
    /// An error if the word is unknown.
    pub fn one_of<T: Clone>(&mut self, key: &str, known: &[(&str, T)]) -> Result<Option<T>, DocumentError> {
        self.take(key).map(|Field { node, key }| one_of(node, key, known)).transpose()
    }

    /// Removes the text of a key.
    ///
    /// # Errors
    /// An error if it is missing, or no text.
    pub fn required(&mut self, key: &str) -> Result<String, DocumentError> {
        let missing = DocumentError::at(inner(&self.name, key), "the key is missing").at_position(self.position);
        self.optional(key)?.ok_or(missing)
    }

    /// Removes the list of a key, and reads its values with `read`. A missing list is empty.
    ///
    /// # Errors
    /// An error if it is no list, or `read` refuses a value.
    pub fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(Node, String) -> Result<T, DocumentError>,
    ) -> Result<Vec<T>, DocumentError> {
        let Some(Field { node, key }) = self.take(key) else { return Ok(Vec::new()) };
        let Content::List(nodes) = node.content else { return Err(wrong(&node, &key, "a list")) };
        nodes.into_iter().enumerate().map(|(number, node)| read(node, format!("{key}[{number}]"))).collect()
    }
}

/// Returns the known key that differs from this one in a few letters or in case.
pub fn closest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Longer keys are no mistyped ones, and take long to compare.
    const LONGEST: usize = 40;
    if key.len() > LONGEST {
        return None;
    }
    let key = key.trim().to_lowercase().replace(['-', ' '], "_");
    let distance = |known: &&&str| strsim::osa_distance(&key, known);
    let nearest = known.iter().min_by_key(distance)?;
    // At most a third of the letters, so that short names do not all resemble each other.
    (distance(&nearest) <= (nearest.len() / 3).max(1)).then_some(*nearest)
}

/// Reads a mapping with any keys, and its values with `read`.
///
/// # Errors
/// An error if it is no mapping, a value is missing, or `read` refuses it.
pub fn named_values<T>(
    field: Field,
    read: impl Fn(Field) -> Result<T, DocumentError>,
) -> Result<Vec<(String, T)>, DocumentError> {
    let Field { node, key: outer } = field;
    let Content::Mapping(entries) = node.content else { return Err(wrong(&node, &outer, "a mapping")) };
    let named = |Entry { key: name, position, value: node }: Entry| {
        let key = inner(&outer, &name);
        if matches!(node.content, Content::Nothing) {
            let error = DocumentError::at(key, "it has no value: write an empty text as \"\"");
            return Err(error.at_position(position));
        }
        Ok((name, read(Field { node, key })?))
    };
    entries.into_iter().map(named).collect()
}

/// Returns a text, a number or a boolean as it is written.
///
/// # Errors
/// An error if it is a list or a mapping.
pub fn scalar(field: Field) -> Result<String, DocumentError> {
    let Field { node, key } = field;
    match node.content {
        Content::Text(text) | Content::Literal(text) => Ok(text),
        _ => Err(wrong(&node, &key, "a text, a number or a boolean")),
    }
}

/// Returns the value that a known word stands for.
///
/// # Errors
/// An error if the word is unknown.
pub fn one_of<T: Clone>(node: Node, name: String, known: &[(&str, T)]) -> Result<T, DocumentError> {
    let position = node.position;
    let word = text(node, name.clone())?;
    let found = known.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone());
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        DocumentError::at(name, format!("it should be one of {}", words.join(", "))).at_position(position)
    })
}

/// Returns the text of a value.
///
/// # Errors
/// An error if it is no text. A number has to be put in quotes.
pub fn text(node: Node, name: String) -> Result<String, DocumentError> {
    match node.content {
        Content::Text(text) => Ok(text),
        Content::Literal(_) => Err(wrong(&node, &name, "a text: put it in quotes")),
        _ => Err(wrong(&node, &name, "a text")),
    }
}

/// Returns the error for a value of the wrong type. The value is not repeated, because it may be a secret.
pub fn wrong(node: &Node, name: &str, expected: &str) -> DocumentError {
    DocumentError::at(name, format!("it is {} and should be {expected}", node.kind())).at_position(node.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_resembled_by_few_others() {
        assert_eq!(closest("image-ref", &["image_ref", "instances"]), Some("image_ref"));
        assert_eq!(closest("x", &["image_ref", "instances"]), None);
        assert_eq!(closest(&"actors".repeat(100_000), &["actors"]), None);
    }

    #[test]
    fn values_of_any_keys_are_read_with_their_keys() {
        let field = |text: &str| {
            let mut fields = Fields::of(crate::yaml::read(text).unwrap(), String::new(), &["labels"]).unwrap();
            fields.take("labels").unwrap()
        };
        let read = |text: &str| named_values(field(text), scalar).map_err(|error| error.to_string());
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("labels: {a: b, c: 1, d: true}"),
            Ok(vec![named("a", "b"), named("c", "1"), named("d", "true")])
        );
        for (text, error) in [
            ("labels: [a]", "labels (line 1, column 9): it is a list and should be a mapping"),
            (
                "labels: {a: [b]}",
                "labels.a (line 1, column 13): it is a list and should be a text, a number or a boolean",
            ),
            ("labels: {a: }", "labels.a (line 1, column 10): it has no value"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
