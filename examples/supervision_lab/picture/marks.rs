//! The marks of the picture: one for each kind of event.

use wasmcloud_host::EventKind;

pub(super) struct Mark {
    pub(super) words: &'static str,
    /// Drawn around the origin.
    pub(super) shape: &'static str,
    pub(super) place: Place,
    is_it: fn(&EventKind) -> bool,
}

/// The position of a mark in a lane, which separates events that follow each other at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A fault or change.
    Above,
    /// Its effect.
    On,
    /// The supervisor's reaction.
    Below,
}

pub(super) const MARKS: [Mark; 10] = [
    Mark {
        words: "fault injected",
        shape: "<path d=\"M-4.5 -5 L4.5 -5 L0 4 Z\" fill=\"#f0a030\"/>",
        place: Place::Above,
        is_it: |kind| matches!(kind, EventKind::Injected { .. }),
    },
    Mark {
        words: "limit breached",
        shape: "<path d=\"M0 -5 L5 0 L0 5 L-5 0 Z\" fill=\"#8d6bb8\"/>",
        place: Place::Above,
        is_it: |kind| matches!(kind, EventKind::LimitBreached { .. }),
    },
    Mark {
        words: "crashed",
        shape: "<path d=\"M-4.5 -4.5 L4.5 4.5 M4.5 -4.5 L-4.5 4.5\" stroke=\"#fff\" stroke-width=\"5\" stroke-linecap=\"round\"/>\
                <path d=\"M-4.5 -4.5 L4.5 4.5 M4.5 -4.5 L-4.5 4.5\" stroke=\"#c9302c\" stroke-width=\"2.6\" stroke-linecap=\"round\"/>",
        place: Place::On,
        is_it: |kind| matches!(kind, EventKind::Crashed { .. }),
    },
    Mark {
        words: "restarted",
        shape: "<path d=\"M3.6 -2.2 A4.3 4.3 0 1 0 4.3 0.8\" fill=\"none\" stroke=\"#1f7a47\" stroke-width=\"2\" \
                stroke-linecap=\"round\"/><path d=\"M5.6 -5.4 L5 -0.4 L1 -3.2 Z\" fill=\"#1f7a47\"/>",
        place: Place::Below,
        is_it: |kind| matches!(kind, EventKind::Restarted { .. }),
    },
    Mark {
        words: "failed for good",
        shape: "<rect x=\"-5.5\" y=\"-5.5\" width=\"11\" height=\"11\" rx=\"2\" fill=\"#3b0d0c\"/>\
                <path d=\"M-2.4 -2.4 L2.4 2.4 M2.4 -2.4 L-2.4 2.4\" stroke=\"#fff\" stroke-width=\"1.6\"/>",
        place: Place::Below,
        is_it: |kind| matches!(kind, EventKind::Failed { .. }),
    },
    Mark {
        words: "updated",
        shape: "<path d=\"M0 -6 L6 0 L0 6 L-6 0 Z\" fill=\"#2f6fd0\" stroke=\"#fff\"/>",
        place: Place::On,
        is_it: |kind| matches!(kind, EventKind::Updated { .. }),
    },
    Mark {
        words: "update refused",
        shape: "<path d=\"M0 -5.5 L5.5 0 L0 5.5 L-5.5 0 Z\" fill=\"#fff\" stroke=\"#2f6fd0\" stroke-width=\"1.8\"/>",
        place: Place::On,
        is_it: |kind| matches!(kind, EventKind::UpdateRefused { .. }),
    },
    Mark {
        words: "scaled",
        shape: "<path d=\"M0 -6 L6 5 L-6 5 Z\" fill=\"#0f8b8d\" stroke=\"#fff\"/>",
        place: Place::On,
        is_it: |kind| matches!(kind, EventKind::Scaled { .. }),
    },
    Mark {
        words: "linked",
        shape: "<circle r=\"4.2\" fill=\"#fff\" stroke=\"#7b4bb3\" stroke-width=\"2.2\"/>",
        place: Place::Below,
        is_it: |kind| matches!(kind, EventKind::Linked { .. }),
    },
    Mark {
        words: "link refused",
        shape: "<circle r=\"4.2\" fill=\"#c9302c\" stroke=\"#7b4bb3\" stroke-width=\"2.2\"/>",
        place: Place::Below,
        is_it: |kind| matches!(kind, EventKind::LinkRefused { .. }),
    },
];

/// Returns the mark of an event, if it has one. A lane's bar shows starts and stops.
pub(super) fn mark(kind: &EventKind) -> Option<&'static Mark> {
    MARKS.iter().find(|mark| (mark.is_it)(kind))
}
