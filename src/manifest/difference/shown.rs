//! How revisions, instances, labels and links are shown in plans.

use wasmcloud_core::identity::Image;
use wasmcloud_core::text::escaped;

use crate::link::LinkDefinition;

/// Returns how a revision is shown, with the image that it came from.
pub(super) fn revision(revision: i32, image: Option<&Image>) -> String {
    match image {
        None => format!("revision {revision}"),
        Some(Image { reference, digest: None }) => format!("revision {revision} of {reference}"),
        Some(Image { reference, digest: Some(digest) }) if reference.contains('@') || digest.is_empty() => {
            format!("revision {revision} of {reference}")
        }
        Some(Image { reference, digest: Some(digest) }) => format!("revision {revision} of {reference} ({digest})"),
    }
}

/// Returns how a number of instances is shown.
pub(super) fn instances(instances: usize) -> String {
    if instances == 1 { "1 instance".to_owned() } else { format!("{instances} instances") }
}

/// Returns how a label is named.
pub(super) fn label(name: &str) -> String {
    format!("labels.{}", escaped(name))
}

/// Returns how a link is shown: its provider, and the names of its values and of those that changed. Values are not shown.
pub(super) fn link(link: &LinkDefinition, before: Option<&LinkDefinition>) -> String {
    let listed = link.listed_values();
    let mut names: Vec<&str> = listed.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut shown = format!("provider {}", link.provider_id);
    if !names.is_empty() {
        shown.push_str(&format!(", values {}", names.join(" ")));
    }
    let differs = |before: &LinkDefinition, name: &str| before.values.get(name) != link.values.get(name);
    let changed = before.map(|before| names.iter().copied().filter(|name| differs(before, name)).collect::<Vec<_>>());
    if let Some(changed) = changed.filter(|changed| !changed.is_empty()) {
        shown.push_str(&format!(", changed {}", changed.join(" ")));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_shown_without_their_values() {
        let link = |provider: &str, level: &str| LinkDefinition {
            actor_id: "M".into(),
            provider_id: provider.into(),
            link_name: "default".into(),
            contract_id: "c".into(),
            values: [("LEVEL", level), ("URL", "hunter2")].map(|(name, value)| (name.into(), value.into())).into(),
        };
        let before = link("V1", "hunter1");
        assert_eq!(super::link(&before, None), "provider V1, values LEVEL URL");
        assert_eq!(super::link(&link("V2", "hunter3"), Some(&before)), "provider V2, values LEVEL URL, changed LEVEL");
    }
}
