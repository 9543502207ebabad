//! The files of the dashboard's page, as they are built into the program.
//!
//! ```
//! use wasmcloud_telemetry::assets;
//!
//! let page = assets::find("index.html").expect("the page is there");
//! assert_eq!(page.content_type, "text/html; charset=utf-8");
//! assert!(assets::find("../Cargo.toml").is_none());
//! ```

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its name in the folder `dashboard`.
    pub name: &'static str,
    /// The value of its `Content-Type`.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static [u8],
}

/// Lists files with their contents and types.
macro_rules! assets {
    ($($kind:ident { $($name:literal)* })*) => {
        &[$($(Asset {
            name: $name,
            content_type: content_type!($kind),
            content: include_bytes!(concat!("dashboard/", $name)),
        },)*)*]
    };
}

macro_rules! content_type {
    (html) => {
        "text/html; charset=utf-8"
    };
    (css) => {
        "text/css; charset=utf-8"
    };
    (script) => {
        "text/javascript; charset=utf-8"
    };
}

/// All files of the page.
pub const ALL: &[Asset] = assets! {
    html { "index.html" }
    css { "detail.css" "graph.css" "panels.css" "plot.css" "style.css" "table.css" }
    script {
        "api.js" "app.js" "claims.js" "clock.js" "columns.js" "detail.js" "dom.js" "events.js" "figures.js" "format.js"
        "graph.js" "groups.js" "keyboard.js" "lanes.js" "listing.js" "parts.js" "plot.js" "problems.js" "scale.js"
        "sections.js" "sparkline.js" "spread.js" "sse.js" "standing.js" "status.js" "store.js" "story.js" "table.js"
        "text.js" "theme.js" "token.js" "trends.js" "verdict.js"
    }
};

/// Returns the file with a name, such as `app.js`.
pub fn find(name: &str) -> Option<&'static Asset> {
    ALL.iter().find(|asset| asset.name == name)
}

impl Asset {
    /// Computes the value of its `ETag`: a hash of its content, in quotes.
    pub fn entity_tag(&self) -> String {
        let mut tag = String::from("\"");
        for byte in &Sha256::digest(self.content)[..12] {
            // Writing to a string does not fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        tag
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_file_of_the_page_is_listed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard");
        let entries = std::fs::read_dir(folder).unwrap();
        let there: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(there, ALL.iter().map(|asset| asset.name.to_owned()).collect());
    }

    #[test]
    fn what_files_import_and_name_is_listed() {
        for asset in ALL {
            let text = std::str::from_utf8(asset.content).unwrap();
            for before in ["from './", "import './", "\"dashboard/"] {
                let names = text.split(before).skip(1).filter_map(|rest| rest.split(['\'', '"']).next());
                for name in names {
                    assert!(find(name).is_some(), "{} names {name}", asset.name);
                }
            }
        }
    }

    #[test]
    fn an_entity_tag_is_a_quoted_hash() {
        let tags: BTreeSet<String> = ALL.iter().map(Asset::entity_tag).collect();
        assert_eq!(tags.len(), ALL.len());
        assert!(tags.iter().all(|tag| tag.len() == 26 && tag.starts_with('"') && tag.ends_with('"')));
    }
}
