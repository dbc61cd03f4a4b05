//! The program's commands beside `work`, each run as a process.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod backups;
mod benching;
mod bookmarks;
mod changing;
mod compacting;
mod exports;
mod installing;
mod looking;
mod pools;
mod quotas;
mod scene;
mod transcript;
