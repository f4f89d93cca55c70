//! The inodes that the kernel knows.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// Number of the inode of the mount point.
pub const ROOT: u64 = 1;

/// A file or directory of the mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A folder above the archives.
    Folder(usize),
    /// A member of the archive of this number. The path of its root is empty.
    Member(usize, Box<[u8]>),
}

/// The nodes by their numbers. The kernel says which ones it has forgotten, so the table is as large as the
/// kernel's own.
#[derive(Debug)]
pub struct Nodes {
    root: Node,
    hasher: RandomState,
    known: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    node: Node,
    /// How often the kernel has looked it up.
    lookups: u64,
}

impl Nodes {
    pub fn new(root: Node) -> Self {
        Nodes { root, hasher: RandomState::new(), known: HashMap::new() }
    }

    /// Returns the node with this number.
    pub fn get(&self, number: u64) -> Option<Node> {
        match number {
            ROOT => Some(self.root.clone()),
            _ => self.known.get(&number).map(|known| known.node.clone()),
        }
    }

    /// Returns the number of a node. It is a hash, so a node that was forgotten gets the same one again.
    pub fn number(&self, node: &Node) -> u64 {
        if *node == self.root {
            return ROOT;
        }
        let mut number = self.hasher.hash_one(node);
        loop {
            number = number.max(ROOT + 1);
            match self.known.get(&number) {
                Some(known) if known.node != *node => number = number.wrapping_add(1),
                _ => return number,
            }
        }
    }

    /// Counts a lookup of the node with this number. The root is never looked up.
    pub fn looked_up(&mut self, number: u64, node: Node) {
        self.known.entry(number).or_insert(Known { node, lookups: 0 }).lookups += 1;
    }

    /// Subtracts lookups of the node with this number, and forgets the node when none are left.
    pub fn forget(&mut self, number: u64, lookups: u64) {
        if let Some(known) = self.known.get_mut(&number) {
            known.lookups = known.lookups.saturating_sub(lookups);
            if known.lookups == 0 {
                self.known.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_until_all_lookups_are_forgotten() {
        let mut nodes = Nodes::new(Node::Folder(0));
        let node = Node::Member(3, b"world/level.dat"[..].into());
        let number = nodes.number(&node);
        assert!(number > ROOT && nodes.get(number).is_none());
        nodes.looked_up(number, node.clone());
        nodes.looked_up(number, node.clone());
        nodes.forget(number, 1);
        assert_eq!(nodes.get(number), Some(node.clone()));
        nodes.forget(number, 1);
        assert_eq!((nodes.get(number), nodes.known.len()), (None, 0));
        assert_eq!(nodes.number(&node), number);
        nodes.forget(number, 1);
        assert_eq!(
            (nodes.number(&Node::Folder(0)), nodes.get(ROOT)),
            (ROOT, Some(Node::Folder(0)))
        );
    }

    #[test]
    fn two_nodes_of_one_hash_have_different_numbers() {
        let mut nodes = Nodes::new(Node::Folder(0));
        let (node, other) = (Node::Folder(1), Node::Folder(2));
        let number = nodes.number(&node);
        nodes.looked_up(number, other.clone());
        let next = nodes.number(&node);
        assert_eq!(next, number.wrapping_add(1).max(ROOT + 1));
        nodes.looked_up(next, node.clone());
        assert_eq!((nodes.get(number), nodes.get(next)), (Some(other), Some(node)));
    }
}
