//! The rules of NATS for subjects and subscriptions (<https://docs.nats.io/nats-concepts/subjects>).
//!
//! A subject consists of tokens that are separated by dots. In a subscription, the token `*` matches any one token, and a final
//! `>` matches one or more. Within a longer token, such as `a*`, these characters have no meaning.

/// Maximum size of a subject. A NATS server accepts 4096 bytes for a whole line of its protocol. Unit: bytes.
const MAX_SUBJECT_BYTES: usize = 1024;

/// Checks a subject to publish to.
///
/// # Errors
/// Says why the subject is invalid.
pub(super) fn check_subject(subject: &str) -> Result<(), String> {
    check_filter(subject)?;
    if has_wildcard(subject) {
        return Err(format!(
            "the subject {} has a wildcard, which is for subscriptions only",
            display_subject(subject)
        ));
    }
    Ok(())
}

/// Checks a subject to subscribe to.
///
/// # Errors
/// Says why the subject is invalid.
pub(super) fn check_filter(filter: &str) -> Result<(), String> {
    let refuse = |reason: &str| Err(format!("the subject {} is invalid: {reason}", display_subject(filter)));
    if filter.len() > MAX_SUBJECT_BYTES {
        return refuse("it is too long");
    }
    if filter.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return refuse("it contains white space or a control character");
    }
    let mut parts = filter.split('.').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            return refuse("it has an empty token");
        }
        if part == ">" && parts.peek().is_some() {
            return refuse("the token > is not the last one");
        }
    }
    Ok(())
}

/// Checks the name of a queue group.
///
/// # Errors
/// Says why the name is invalid.
pub(super) fn check_group(group: &str) -> Result<(), String> {
    let is_invalid = |character: char| character.is_whitespace() || character.is_control();
    if group.is_empty() || group.len() > MAX_SUBJECT_BYTES || group.chars().any(is_invalid) {
        return Err(format!(
            "the queue group {} is invalid: it is empty, too long, or contains white space or a control character",
            display_subject(group)
        ));
    }
    Ok(())
}

/// Returns whether a filter contains a wildcard.
pub(super) fn has_wildcard(filter: &str) -> bool {
    filter.split('.').any(|part| part == "*" || part == ">")
}

/// Returns whether a filter matches a subject. Both must be valid.
pub(super) fn matches(filter: &str, subject: &str) -> bool {
    let mut subject = subject.split('.');
    for part in filter.split('.') {
        match (part, subject.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(heard)) if part == heard => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

/// Returns a subject for errors and the log: shortened, quoted, and without control characters.
pub(super) fn display_subject(subject: &str) -> String {
    format!("{:?}", wasmcloud_core::entity::shorten(subject))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn subjects_are_tokens_between_dots() {
        for subject in ["a", "a.b", "a*.b>", "é.$SYS", "a.**", "_INBOX.x"] {
            assert_eq!(check_subject(subject), Ok(()), "{subject}");
        }
        for none in
            ["", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPUB x 0", "\0", "a.*", ">", "*", &"a".repeat(1025)]
        {
            assert!(check_subject(none).is_err(), "{none}");
        }
        for filter in ["*", ">", "a.*", "*.a.>", "a.b"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for none in ["", ">.a", "a.>.b", "a..*", "* .a"] {
            assert!(check_filter(none).is_err(), "{none}");
        }
        assert!(check_group("workers").is_ok() && check_group("").is_err() && check_group("a b").is_err());
    }

    #[test]
    fn wildcards_match_whole_tokens() {
        for (filter, subject) in
            [("a", "a"), ("*", "a"), (">", "a.b.c"), ("a.*.c", "a.b.c"), ("a.>", "a.b"), ("a*", "a*")]
        {
            assert!(matches(filter, subject), "{filter} {subject}");
        }
        for (filter, subject) in [("a", "b"), ("*", "a.b"), ("a.>", "a"), ("a.*", "a"), ("a*", "ab"), ("a.b", "a.b.c")]
        {
            assert!(!matches(filter, subject), "{filter} {subject}");
        }
    }

    fn subject() -> impl Strategy<Value = String> {
        proptest::collection::vec("[ab]{1,2}", 1..5).prop_map(|parts| parts.join("."))
    }

    proptest! {
        #[test]
        fn a_subject_matches_itself_and_the_full_wildcard(subject in subject()) {
            prop_assert!(matches(&subject, &subject));
            prop_assert!(matches(">", &subject));
        }

        #[test]
        fn a_star_matches_any_token(subject in subject(), at in any::<prop::sample::Index>()) {
            let mut parts: Vec<_> = subject.split('.').collect();
            let at = at.index(parts.len());
            parts[at] = "*";
            prop_assert!(matches(&parts.join("."), &subject));
        }

        #[test]
        fn a_final_angle_matches_the_remaining_tokens(subject in subject(), at in any::<prop::sample::Index>()) {
            let mut parts: Vec<_> = subject.split('.').collect();
            parts.truncate(at.index(parts.len()));
            parts.push(">");
            prop_assert!(matches(&parts.join("."), &subject));
        }

        #[test]
        fn a_filter_without_wildcards_matches_only_itself(filter in subject(), subject in subject()) {
            prop_assert_eq!(matches(&filter, &subject), filter == subject);
        }

        #[test]
        fn checking_any_text_does_not_panic(filter: String, subject: String) {
            let _ = (check_filter(&filter), check_subject(&subject), matches(&filter, &subject), display_subject(&subject));
        }
    }
}
