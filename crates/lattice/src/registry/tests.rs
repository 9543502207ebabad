//! Tests of the registry against real servers.
