//! Pages of inventories that fit into messages.

use serde::Serialize;

use crate::message::{InventoryPage, PageRequest};

/// The most entries of a page that names no limit.
pub(crate) const DEFAULT_LIMIT: usize = 1_000;

/// Leaves out the last entries of a page, so that its JSON is no longer than `largest`. A single entry is always kept: none is
/// longer than a message.
pub(super) fn fitting(mut page: InventoryPage, request: &PageRequest, largest: usize) -> InventoryPage {
    page.entries.truncate(request.limit.unwrap_or(DEFAULT_LIMIT).max(1));
    let entries = std::mem::take(&mut page.entries);
    // Room for the offset of the next page.
    let mut room = largest.saturating_sub(size(&page) + 64);
    for (index, entry) in entries.into_iter().enumerate() {
        let size = size(&entry) + 1;
        if size > room && index > 0 {
            break;
        }
        room = room.saturating_sub(size);
        page.entries.push(entry);
    }
    let end = request.offset.saturating_add(page.entries.len());
    page.next = (end < page.total && !page.entries.is_empty()).then_some(end);
    page
}

fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::EntityEntry;

    fn page(entries: usize) -> InventoryPage {
        let entry = |number: usize| EntityEntry {
            kind: "actor".to_owned(),
            id: format!("{number:0>56}"),
            ..EntityEntry::default()
        };
        InventoryPage { total: entries, entries: (0..entries).map(entry).collect(), ..InventoryPage::default() }
    }

    #[test]
    fn ten_thousand_entries_are_told_in_pages_that_fit() {
        let all = page(10_000);
        let (mut told, mut next) = (Vec::new(), Some(0));
        while let Some(offset) = next {
            let rest = InventoryPage { entries: all.entries[offset..].to_vec(), ..all.clone() };
            let fitting = fitting(rest, &PageRequest { offset, limit: Some(usize::MAX) }, 64 * 1024);
            assert!(serde_json::to_vec(&fitting).unwrap().len() <= 64 * 1024);
            told.extend(fitting.entries);
            next = fitting.next;
        }
        assert_eq!(told, all.entries);
    }

    #[test]
    fn a_page_is_never_empty_before_the_end() {
        let first = fitting(page(3), &PageRequest { offset: 0, limit: Some(0) }, 10);
        assert_eq!((first.entries.len(), first.next), (1, Some(1)));
        let beyond = fitting(
            InventoryPage { total: 3, ..InventoryPage::default() },
            &PageRequest { offset: 9, limit: None },
            10,
        );
        assert_eq!((beyond.entries.len(), beyond.next), (0, None));
    }
}
