//! The rules of NATS for subjects: which there are, and which of them a subscription hears.
//!
//! A subject is parts between dots. In a subscription, `*` stands for any one part, and `>` at its end for one or more. Both
//! are a whole part: `a*` is a part like any other.

/// The longest subject in bytes: a NATS server takes 4096 for a whole line of its protocol.
const MAX_SUBJECT_BYTES: usize = 1024;

/// Refuses what is no subject to publish to.
///
/// # Errors
/// Why it is none.
pub(super) fn check_subject(subject: &str) -> Result<(), String> {
    check_filter(subject)?;
    if has_wildcard(subject) {
        return Err(format!("the subject {} has a wildcard: that is for subscriptions only", display_subject(subject)));
    }
    Ok(())
}

/// Refuses what cannot be subscribed to.
///
/// # Errors
/// Why not.
pub(super) fn check_filter(filter: &str) -> Result<(), String> {
    let refuse = |reason: &str| Err(format!("{} is no subject: {reason}", display_subject(filter)));
    if filter.len() > MAX_SUBJECT_BYTES {
        return refuse("it is too long");
    }
    if filter.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return refuse("it holds a blank or a control character");
    }
    let mut parts = filter.split('.').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            return refuse("a part of it is empty");
        }
        if part == ">" && parts.peek().is_some() {
            return refuse("there is something behind its >");
        }
    }
    Ok(())
}

/// Refuses what is no name of a queue group.
///
/// # Errors
/// Why it is none.
pub(super) fn check_group(group: &str) -> Result<(), String> {
    let is_invalid = |character: char| character.is_whitespace() || character.is_control();
    if group.is_empty() || group.len() > MAX_SUBJECT_BYTES || group.chars().any(is_invalid) {
        return Err(format!(
            "{} is no name of a queue group: it is empty, too long, or holds a blank",
            display_subject(group)
        ));
    }
    Ok(())
}

/// Whether a subscription may hear more than one subject.
pub(super) fn has_wildcard(filter: &str) -> bool {
    filter.split('.').any(|part| part == "*" || part == ">")
}

/// Whether a subscription hears a subject. Both are what they should be.
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

/// A subject as it is shown: short, and without control characters.
pub(super) fn display_subject(subject: &str) -> String {
    format!("{:?}", wasmcloud_core::entity::shorten(subject))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn subjects_are_parts_between_dots() {
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
    fn wildcards_stand_for_whole_parts() {
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
        fn a_subject_is_heard_by_itself_and_by_everything(subject in subject()) {
            prop_assert!(matches(&subject, &subject));
            prop_assert!(matches(">", &subject));
        }

        #[test]
        fn a_part_may_be_replaced_by_a_star(subject in subject(), at in any::<prop::sample::Index>()) {
            let mut parts: Vec<_> = subject.split('.').collect();
            let at = at.index(parts.len());
            parts[at] = "*";
            prop_assert!(matches(&parts.join("."), &subject));
        }

        #[test]
        fn what_is_left_of_a_subject_may_be_replaced_by_an_angle(subject in subject(), at in any::<prop::sample::Index>()) {
            let mut parts: Vec<_> = subject.split('.').collect();
            parts.truncate(at.index(parts.len()));
            parts.push(">");
            prop_assert!(matches(&parts.join("."), &subject));
        }

        #[test]
        fn without_wildcards_only_the_same_is_heard(filter in subject(), subject in subject()) {
            prop_assert_eq!(matches(&filter, &subject), filter == subject);
        }

        #[test]
        fn any_text_ends_in_an_answer(filter: String, subject: String) {
            let _ = (check_filter(&filter), check_subject(&subject), matches(&filter, &subject), display_subject(&subject));
        }
    }
}
