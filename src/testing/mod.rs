//! For tests of stores, and of programs that use this crate. Only with the feature `testing`.
//!
//! [`store_conformance`] checks that a store of your own fulfills the contract of [`Store`](crate::Store). A
//! [`FaultyStore`] fails at a call that a test chooses. Enable the feature in the development dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! wingback = { version = "0.1", features = ["testing"] }
//! ```

mod conformance;
mod faulty_store;
mod sparse_archive;

pub use conformance::store_conformance;
pub use faulty_store::{Fault, FaultyStore};
pub use sparse_archive::{compare_with_previous, sparse_archive, sparse_path};
