//! The tree above the pages: each node has the first path, the length and the hash of its children.

use super::{
    blob::{HASH_LEN, Hash, MEMBERS_MAX},
    fields::{Fields, common_len, put_number, put_shared},
    page::PATH_MAX,
};

/// Raw bytes of the children of a node, at most. A node of this length and the shortest paths has about 3,000
/// children.
const CHILDREN_TARGET: usize = 64 << 10;

/// Maximum bytes of all paths in a node.
const TEXT_MAX: usize = 1 << 20;

/// Maximum bytes of a key: the path of a directory, `/`, and the byte of a page without entries.
const KEY_MAX: usize = PATH_MAX + 2;

/// Levels of nodes, at most: more than any archive of less than 2^64 bytes needs.
pub(crate) const LEVELS_MAX: u64 = 6;

/// Maximum bytes of a child in its node, without its path.
pub(super) const CHILD_MAX: usize = 2 * 5 + 5 + HASH_LEN;

/// A page, or a node of the next lower level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    /// Sort keys of its entries are not less than this. Sort keys of the child before are less.
    pub(crate) key: Vec<u8>,
    /// Bytes of its members.
    pub(crate) len: u32,
    pub(crate) hash: Hash,
}

/// Consecutive children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// 1 if the children are pages.
    pub(crate) level: u64,
    /// Offset of the first child from the start of the index. The others follow it without gaps.
    pub(crate) first_at: u64,
    pub(crate) children: Vec<Child>,
}

impl Node {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.level);
        put_number(out, self.first_at);
        put_number(out, self.children.len() as u64);
        let mut before: &[u8] = &[];
        for child in &self.children {
            put_shared(out, before, &child.key);
            put_number(out, child.len.into());
            out.extend(child.hash);
            before = &child.key;
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let level = fields.number().filter(|level| (1..=LEVELS_MAX).contains(level))?;
        let mut node = Node { level, first_at: fields.number()?, children: Vec::new() };
        let mut text = 0;
        for _ in 0..fields.number()? {
            let before = node.children.last().map_or(&[][..], |child| &child.key);
            let key = fields.shared(before)?;
            let child = Child { len: fields.number32()?, hash: fields.array()?, key };
            text += child.key.len();
            let is_possible = before <= &child.key[..]
                && child.key.len() <= KEY_MAX
                && text <= TEXT_MAX
                && (1..=MEMBERS_MAX).contains(&(child.len as usize));
            if !is_possible {
                return None;
            }
            node.children.push(child);
        }
        let len = node
            .children
            .iter()
            .try_fold(node.first_at, |at, child| at.checked_add(child.len.into()));
        // A node without children would cost time and lead nowhere.
        (len.is_some() && !node.children.is_empty()).then_some(node)
    }

    /// Decodes the raw bytes of a node. Returns `None` if anything is wrong with it.
    pub(crate) fn decode_all(raw: &[u8]) -> Option<Self> {
        let mut fields = Fields(raw);
        let node = Node::decode(&mut fields)?;
        fields.0.is_empty().then_some(node)
    }

    /// Returns the last child that may have this sort key, and its offset from the start of the index.
    pub(crate) fn child_of(&self, key: &[u8]) -> Option<(u64, &Child)> {
        let i = self.children.partition_point(|child| child.key[..] <= *key).checked_sub(1)?;
        let before = self.children[..i].iter().map(|child| u64::from(child.len));
        Some((self.first_at + before.sum::<u64>(), &self.children[i]))
    }
}

/// Returns the number of children that fit into one node of at most `raw` bytes, at least one.
pub(super) fn fitting(children: &[Child], raw: usize) -> usize {
    let (mut len, mut text) = (0, 0);
    let fits = |child: &&Child| {
        len += CHILD_MAX + child.key.len();
        text += child.key.len();
        len <= raw && text <= TEXT_MAX
    };
    children.iter().take_while(fits).count().max(1)
}

/// Splits children into nodes of the next level.
pub(super) fn split(level: u64, mut first_at: u64, mut children: &[Child]) -> Vec<Node> {
    let mut nodes = Vec::new();
    while !children.is_empty() {
        let (of_node, rest) = children.split_at(fitting(children, CHILDREN_TARGET));
        nodes.push(Node { level, first_at, children: of_node.to_vec() });
        first_at += of_node.iter().map(|child| u64::from(child.len)).sum::<u64>();
        children = rest;
    }
    nodes
}

/// Returns the shortest key between the last sort key of a page and the first of the next page.
pub(super) fn separator(last: &[u8], first: Option<&[u8]>) -> Vec<u8> {
    match first {
        Some(first) => first[..first.len().min(common_len(last, first) + 1)].to_vec(),
        // A page without entries, in the middle of a large file.
        None => [last, &[0]].concat(),
    }
}
