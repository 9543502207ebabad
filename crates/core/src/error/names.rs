//! The names of error kinds, by which hosts tell each other why a call failed.

use super::ErrorKind;

/// Names each kind once. A kind that is missing here does not compile.
macro_rules! names {
    ($($name:ident,)*) => {
        impl ErrorKind {
            /// Returns the name of the kind, as in `ActorNotFound`. Names do not change between releases.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorKind::$name => stringify!($name),)*
                }
            }

            /// Returns the kind with a name, or `None` for a name that this release does not know.
            pub fn from_name(name: &str) -> Option<ErrorKind> {
                match name {
                    $(stringify!($name) => Some(ErrorKind::$name),)*
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        const ALL: &[ErrorKind] = &[$(ErrorKind::$name,)*];
    };
}

names! {
    InvalidModule, InvalidArchive, TargetMissing, Unsigned, InvalidToken, Tampered, TokenExpired,
    TokenNotYetValid, Untrusted, Revoked, Unauthorized, InvalidArgument, InvalidManifest, ManifestIncomplete,
    Unsupported, NoActixSystem, HostNotRunning, HostAlreadyStarted, ActorAlreadyRunning, ActorNotFound,
    ActorStopped, ChildFailed, UpdateRefused, AliasTaken, ProviderAlreadyRunning, ProviderNotFound,
    NotLinked, LinkRefused, CapabilityDenied, ActorFailed, UnknownOperation, ActorTrapped, StackExhausted,
    ProtocolViolation, MessageTooLarge, ProviderFailed, ProviderPanicked, ProviderDied, InvalidPlugin,
    MiddlewareRefused, MiddlewarePanicked, DeadlineExceeded, CallerGone, CallCycle, ChainTooDeep, Busy,
    LatticeUnavailable, LatticeRefused, OutcomeUnknown, RegistryConflict, OciUnavailable, OciDenied,
    OciNotFound, OciRefused, Io, Internal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_leads_back_to_its_kind() {
        for kind in ALL {
            assert_eq!(ErrorKind::from_name(kind.name()), Some(*kind));
            assert_eq!(format!("{kind:?}"), kind.name());
        }
        assert_eq!(ErrorKind::from_name("NoSuchKind"), None);
    }
}
