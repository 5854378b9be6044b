//! Integration tests, in one binary: it links once.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking and arrange files"
)]

mod adversary;
mod answers;
mod architecture;
mod catalogues;
mod checkouts;
mod cli;
mod contract;
mod craft;
mod decoders;
mod deploy;
mod determinism;
mod digests;
mod dockerfiles;
mod drips;
mod elsewhere;
mod engines;
mod exports;
mod faults;
mod frozen;
mod git;
mod hostile;
mod house;
mod independent;
mod index;
mod inputs;
mod limits;
mod listing;
mod lock;
mod mistakes;
mod odd_images;
mod odd_registries;
mod passes;
mod peers;
mod pushes;
mod quick_start;
mod real_files;
mod real_registries;
mod refusals;
mod registries;
mod registry;
mod schema;
mod settled;
mod source;
mod stacks;
mod strangers;
mod substitutes;
mod support;
mod taking_away;
