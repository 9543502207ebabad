//! Reads names and doc comments from files of source.

use std::collections::BTreeMap;

use syn::{Attribute, Expr, Item, Lit, Meta};

use super::{in_repository, text};

/// A variant of an enum, or a constant.
pub(super) struct Named {
    /// The name of a variant, or the text that a constant has.
    pub(super) name: String,
    /// The names of the fields of a variant.
    pub(super) fields: Vec<String>,
    pub(super) doc: String,
}

/// Returns the variants of a public enum, in order.
pub(super) fn variants(path: &str, name: &str) -> Vec<Named> {
    let found = items(path).into_iter().find_map(|item| match item {
        Item::Enum(found) if found.ident == name => Some(found),
        _ => None,
    });
    let variants = found.unwrap_or_else(|| panic!("{path} has no enum {name}")).variants.into_iter();
    let named = variants.map(|variant| Named {
        name: variant.ident.to_string(),
        fields: variant.fields.iter().filter_map(|field| Some(field.ident.as_ref()?.to_string())).collect(),
        doc: doc(&variant.attrs),
    });
    named.collect()
}

/// Returns the texts that the constants of a module have, in order.
pub(super) fn constants(path: &str, module: &str) -> Vec<Named> {
    let found = items(path).into_iter().find_map(|item| match item {
        Item::Mod(found) if found.ident == module => found.content,
        _ => None,
    });
    let (_, items) = found.unwrap_or_else(|| panic!("{path} has no module {module}"));
    let named = items.into_iter().filter_map(|item| {
        let Item::Const(constant) = item else { return None };
        Some(Named { name: literal(&constant.expr)?, fields: Vec::new(), doc: doc(&constant.attrs) })
    });
    named.collect()
}

/// Returns what a macro that lists `Name => "word"` is called with.
pub(super) fn words(path: &str, name: &str) -> BTreeMap<String, String> {
    let found = items(path).into_iter().find_map(|item| match item {
        Item::Macro(found) if found.ident.is_none() && found.mac.path.is_ident(name) => Some(found.mac.tokens),
        _ => None,
    });
    let tokens = found.unwrap_or_else(|| panic!("{path} does not call the macro {name}")).to_string();
    let pairs = tokens.split(',').filter_map(|pair| pair.split_once("=>"));
    // An attribute may precede the name.
    let pairs =
        pairs.map(|(name, word)| (name.split_whitespace().last().unwrap_or_default(), word.trim().trim_matches('"')));
    pairs.map(|(name, word)| (name.to_owned(), word.to_owned())).collect()
}

fn items(path: &str) -> Vec<Item> {
    let source = std::fs::read_to_string(in_repository(path)).unwrap();
    syn::parse_file(&source).unwrap_or_else(|error| panic!("{path}: {error}")).items
}

/// Returns a doc comment as one line.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => literal(&pair.value),
        _ => None,
    });
    text::plain(&lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join(" "))
}

fn literal(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
