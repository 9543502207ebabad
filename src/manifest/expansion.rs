//! `${NAME:default}` and `${NAME:-default}` in a text that has been read: the text is taken apart once, and what it becomes is
//! never looked at again.

use std::env::{self, VarError};

use super::document::LARGEST_CONTENT;

/// What a name stands for, if anything; or why nobody can tell.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Result<Option<String>, String>;

/// The variables of the environment.
pub(super) fn environment(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("the variable {name} holds no text in UTF-8")),
    }
}

/// The expansion of all texts of a manifest, which share one bound.
pub(super) struct Expansion<'a> {
    variables: Variables<'a>,
    /// How many bytes all texts together may still become.
    room: usize,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(variables: Variables<'a>) -> Expansion<'a> {
        Expansion { variables, room: LARGEST_CONTENT }
    }

    /// Puts what variables stand for in their place.
    ///
    /// # Errors
    /// A text with what is wrong. It names variables and repeats nothing else.
    pub(super) fn expand(&mut self, text: &mut String) -> Result<(), String> {
        let (mut expanded, mut rest) = (String::new(), text.as_str());
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

    /// What stands between the braces, as its value.
    fn value(&self, variable: &str) -> Result<String, String> {
        let Variable { name, default, empty_is_unset } = Variable::parse(variable)?;
        let set = (self.variables)(name)?.filter(|value| !(empty_is_unset && value.is_empty()));
        let value = set.or_else(|| default.map(ToOwned::to_owned));
        value
            .ok_or_else(|| format!("the variable {name} is not set and has no default: set it, or write ${{{name}:…}}"))
    }

    fn push(&mut self, expanded: &mut String, text: &str) -> Result<(), String> {
        let room = self.room.checked_sub(text.len());
        self.room = room.ok_or_else(|| format!("with its variables it grows beyond {LARGEST_CONTENT} bytes"))?;
        expanded.push_str(text);
        Ok(())
    }
}

/// A variable as it is written between braces: `NAME`, `NAME:default`, or as shells write it, `NAME:-default`.
struct Variable<'a> {
    name: &'a str,
    default: Option<&'a str>,
    /// Whether the default also stands for a variable that is set to nothing.
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
                "a name of a variable is not made of letters, digits and _; a ${ that is meant as it stands is \
                        written $${"
                    .to_owned(),
            );
        }
        if let Some(sign) = default.and_then(|default| default.chars().next()).filter(|sign| "=?+".contains(*sign)) {
            return Err(format!(
                "${{{name}:{sign}…}} is a form of the shell that is not supported: a default is written ${{{name}:…}}, or \
                 ${{{name}:-…}} where it also stands for a variable that is set to nothing"
            ));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(format!("the default of the variable {name} holds a variable, which is not possible"));
        }
        let of_the_shell = default.and_then(|default| default.strip_prefix('-'));
        Ok(Variable { name, default: of_the_shell.or(default), empty_is_unset: of_the_shell.is_some() })
    }
}

/// Whether this can be the name of a variable: letters, digits and `_`, not beginning with a digit, and not too long.
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
    fn what_cannot_be_expanded_is_named_and_nothing_else_is() {
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
    fn what_variables_hold_is_bounded_over_all_texts() {
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
        fn whatever_a_variable_holds_takes_its_place(value in any::<String>(), around in "[^$]{0,9}") {
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
