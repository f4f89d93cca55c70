//! The index after the tar stream, in empty gzip members that other readers skip.
//!
//! ```text
//! page page page … │ nodes of level 1 │ nodes of level 2 … │ patterns │ root │ footer
//! ```
//!
//! A page has consecutive segments, and the entries that begin in them. A node has the first path, the
//! length and the hash of each of its children: pages, or nodes of the next lower level. The root has the top
//! node and the identity of the archive. `docs/format.md` describes every field.
//!
//! The index is a hint and never an authority. Its hashes detect damage but not forgery, so readers still
//! compare it with the tar headers.

mod blob;
mod fields;
mod footer;
mod gzip_member;
mod node;
mod page;
mod root;
mod segment;
mod size;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use blob::Hash;
pub(crate) use footer::{FOOTER_LEN, Footer};
pub(crate) use gzip_member::begins_index;
pub(crate) use node::{Child, Node};
pub(crate) use page::{LocatedEntry, Page, Position, cmp_paths, sort_key};
pub(crate) use root::Root;
pub(crate) use segment::{LocatedSegment, Segment};
pub(crate) use size::IndexBound;
pub(crate) use writer::IndexWriter;

/// Returns the page with these members. `None` if it does not have this hash, or anything is wrong with it.
pub(crate) fn read_page(members: &[u8], hash: &Hash) -> Option<Page> {
    Page::decode(&read_blob(members, hash)?)
}

/// Returns the node with these members. `None` if it does not have this hash, or anything is wrong with it.
pub(crate) fn read_node(members: &[u8], hash: &Hash) -> Option<Node> {
    Node::decode_all(&read_blob(members, hash)?)
}

/// Returns the root with these members. `None` if anything is wrong with it.
pub(crate) fn read_root(members: &[u8], footer: &Footer) -> Option<Root> {
    let blob = blob::of_members(members)?;
    if footer.hash_with(&blob) != footer.hash {
        return None;
    }
    Root::decode(&blob::unpack(&blob)?)
}

/// Returns the raw bytes of the blob with these members. `None` if it does not have this hash.
pub(crate) fn read_blob(members: &[u8], hash: &Hash) -> Option<Vec<u8>> {
    let blob = blob::of_members(members)?;
    if blob::hash(&blob) != *hash {
        return None;
    }
    blob::unpack(&blob)
}
