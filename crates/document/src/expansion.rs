//! Expands `${NAME:default}` and `${NAME:-default}` in a text. Each text is scanned once, and the result is not scanned again.

use std::env::{self, VarError};

use super::LARGEST_CONTENT;

/// Returns the value of a variable, `None` if it is not set, or the reason why its value is unusable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Result<Option<String>, String>;

/// Returns the value of a variable of the environment.
///
/// # Errors
/// The reason, if the value is not UTF-8.
pub fn environment(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("the value of the variable {name} is not UTF-8")),
    }
}

/// Expands the texts of a document. Their sizes share one limit.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Expansion<'a> {
    variables: Variables<'a>,
    /// How many more bytes the expanded texts may have.
    left: usize,
}

impl<'a> Expansion<'a> {
    /// Returns an expansion with these variables.
    pub fn new(variables: Variables<'a>) -> Expansion<'a> {
        Expansion { variables, left: LARGEST_CONTENT }
    }

    /// Replaces variables by their values.
    ///
    /// # Errors
    /// The reason. It names variables, and repeats no other part of the text.
    pub fn expand(&mut self, text: &mut String) -> Result<(), String> {
        let mut expanded = String::new();
        let mut rest = text.as_str();
        while let Some(dollar) = rest.find('$') {
            let (before, found) = rest.split_at(dollar);
            self.push(&mut expanded, before)?;
            rest = if let Some(after) = found.strip_prefix("$${") {
                self.push(&mut expanded, "${")?;
                after
            } else if let Some(variable) = found.strip_prefix("${") {
                let (variable, after) = variable.split_once('}').ok_or("a variable that begins with ${ has no }")?;
                let value = self.value(variable)?;
                self.push(&mut expanded, &value)?;
                after
            } else {
                self.push(&mut expanded, "$")?;
                &found[1..]
            };
        }
        self.push(&mut expanded, rest)?;
        *text = expanded;
        Ok(())
    }

    /// Returns the value of the text between the braces.
    fn value(&self, variable: &str) -> Result<String, String> {
        let Variable { name, default, empty_is_unset } = Variable::parse(variable)?;
        let set = (self.variables)(name)?.filter(|value| !(empty_is_unset && value.is_empty()));
        let value = set.or_else(|| default.map(ToOwned::to_owned));
        value
            .ok_or_else(|| format!("the variable {name} is not set and has no default: set it, or write ${{{name}:…}}"))
    }

    fn push(&mut self, expanded: &mut String, text: &str) -> Result<(), String> {
        let left = self.left.checked_sub(text.len());
        self.left = left.ok_or_else(|| {
            format!("the document grows beyond the limit of {LARGEST_CONTENT} bytes when its variables are expanded")
        })?;
        expanded.push_str(text);
        Ok(())
    }
}

/// A variable as it is written between braces: `NAME`, `NAME:default`, or in the form of shells, `NAME:-default`.
struct Variable<'a> {
    name: &'a str,
    default: Option<&'a str>,
    /// Whether the default also replaces an empty variable.
    empty_is_unset: bool,
}

impl<'a> Variable<'a> {
    fn parse(text: &'a str) -> Result<Variable<'a>, String> {
        let (name, default) = match text.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (text, None),
        };
        if !is_name(name) {
            return Err(
                "the name of a variable must consist of letters, digits and _; write a literal ${ as $${".to_owned()
            );
        }
        if let Some(sign) = default.and_then(|default| default.chars().next()).filter(|sign| "=?+".contains(*sign)) {
            return Err(format!(
                "the shell form ${{{name}:{sign}…}} is not supported: write a default as ${{{name}:…}}, or as \
                 ${{{name}:-…}} if it also replaces an empty variable"
            ));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(format!("the default of the variable {name} contains a variable, which is not supported"));
        }
        let of_the_shell = default.and_then(|default| default.strip_prefix('-'));
        Ok(Variable { name, default: of_the_shell.or(default), empty_is_unset: of_the_shell.is_some() })
    }
}

/// Returns whether a text is the name of a variable: at most 256 letters, digits and `_`, not beginning with a digit.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 256;
    text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let variables = |name: &str| {
            Ok(match name {
                "PORT" => Some("9000".to_owned()),
                "EMPTY" => Some(String::new()),
                "WILD" => Some("${PORT}: [1]\n$${".to_owned()),
                _ => None,
            })
        };
        let mut text = text.to_owned();
        Expansion::new(&variables).expand(&mut text).map(|()| text)
    }

    #[test]
    fn variables_come_before_defaults() {
        for (text, expected) in [
            ("", ""),
            ("no variable, 5 $, {PORT}, $PORT, }", "no variable, 5 $, {PORT}, $PORT, }"),
            ("${PORT}", "9000"),
            ("${PORT:8080}", "9000"),
            ("${NONE:8080}", "8080"),
            ("${NONE:}", ""),
            ("${NONE:-8080}", "8080"),
            ("${NONE:--1}", "-1"),
            ("${NONE:-}", ""),
            ("${PORT:-8080}", "9000"),
            ("${EMPTY:-full}", "full"),
            ("${EMPTY:full}", ""),
            ("${NONE:redis://localhost:6379/}", "redis://localhost:6379/"),
            ("http://${NONE:localhost}:${PORT}/é", "http://localhost:9000/é"),
            ("$${PORT}", "${PORT}"),
            ("$$${PORT}", "$${PORT}"),
            ("$$ $", "$$ $"),
            ("${WILD}", "${PORT}: [1]\n$${"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_variable_and_repeat_nothing_else() {
        assert!(expand("${NONE}").unwrap_err().contains("NONE"));
        for secret in ["${hunter 2}", "${hunter2", "${}", "${2hunter}", "${:hunter2}", "hunter2 ${"] {
            let refused = expand(secret).unwrap_err();
            assert!(!refused.contains("hunter"), "{secret}: {refused}");
        }
        for form in ["${PORT:=hunter2}", "${PORT:?hunter2}", "${PORT:+hunter2}"] {
            let refused = expand(form).unwrap_err();
            assert!(refused.contains("${PORT:-…}") && !refused.contains("hunter"), "{form}: {refused}");
        }
        let nested = expand("${NONE:hunter2${PORT}}").unwrap_err();
        assert!(nested.contains("NONE") && !nested.contains("hunter"), "{nested}");
    }

    #[test]
    fn the_size_of_all_expanded_texts_is_limited() {
        let large = |_: &str| Ok(Some("x".repeat(LARGEST_CONTENT / 2)));
        let mut expansion = Expansion::new(&large);
        let mut expand = |text: &str| expansion.expand(&mut text.to_owned());
        assert_eq!(expand("${A}"), Ok(()));
        assert_eq!(expand("${A}"), Ok(()));
        assert!(expand("x").unwrap_err().contains("grows"));
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_or_refused(text in "(\\$|\\{|\\}|:|PORT|\\PC){0,20}") {
            if let Ok(expanded) = expand(&text) {
                let is_plain = !text.contains("${");
                prop_assert!(!is_plain || expanded == text);
            }
        }

        #[test]
        fn a_variable_is_replaced_by_its_exact_value(value in any::<String>(), around in "[^$]{0,9}") {
            let mut text = format!("{around}${{A}}{around}");
            let variables = |_: &str| Ok(Some(value.clone()));
            prop_assert_eq!(Expansion::new(&variables).expand(&mut text), Ok(()));
            prop_assert_eq!(text, format!("{around}{value}{around}"));
        }

        #[test]
        fn escaped_texts_come_out_as_they_were(text in "[^$]{0,40}") {
            prop_assert_eq!(expand(&format!("{text}$${{{text}")), Ok(format!("{text}${{{text}")));
        }
    }
}
