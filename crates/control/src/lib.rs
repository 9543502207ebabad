//! The control interface of a lattice: what operators ask of hosts from afar, and what hosts tell them.
//!
//! The subjects and the JSON of 2021 (wasmCloud 0.18 and 0.19) are kept as they were, so that the control clients of that time
//! work. Fields that they ignore are added, and subjects for what they lack. `docs/control.md` describes all of them.
//!
//! # Layout
//! - [`ControlClient`]: asks and orders
//! - [`EventWatch`], [`ControlEvents`]: what hosts tell meanwhile
//! - [`message`]: requests and answers
//! - [`ControlEvent`], [`EventFilter`], [`kinds`]: events
//! - [`Subjects`], [`Command`]: the names of everything
//! - [`Outcome`], [`Settled`]: how an order ended
//! - [`ControlService`], [`ControlHandler`]: the side of the host
//! - [`ControlAuthority`]: who may give orders
//! - [`token`]: the token of an order

#![forbid(unsafe_code)]

mod authority;
mod client;
mod event;
pub mod message;
mod outcome;
mod service;
mod subject;
pub mod token;

pub use authority::ControlAuthority;
pub use client::{ControlClient, ControlEvents, EventWatch};
pub use event::{ControlEvent, EventFilter, kinds};
pub use outcome::{Outcome, RequestOptions, Settled};
pub use service::{Carried, ControlCounts, ControlHandler, ControlService, ControlSettings, Order, Work};
pub use subject::{Command, Subjects};
