//! Parses the configuration's YAML into a tree, with lines for error messages.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{Event, Parser, ScalarStyle};

use super::{
    error::Error,
    scalar::{Scalar, Tag},
};

/// Deepest nesting of lists and blocks.
const DEPTH_MAX: usize = 100;

/// A value in the file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    /// Keys and values in the order of the file.
    Block(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Node {
    /// Parses the first document of `text`. An empty text is an empty block.
    pub(super) fn parse(text: &str) -> Result<Rc<Self>, Error> {
        Builder::default().build(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.is_null())
    }

    pub(super) fn scalar(&self, wanted: &str) -> Result<&Scalar, Error> {
        match &self.content {
            Content::Scalar(scalar) => Ok(scalar),
            Content::List(_) => Err(Error::new(format!("it must be {wanted}, but it is a list"))),
            Content::Block(_) => {
                Err(Error::new(format!("it must be {wanted}, but it is a block of keys")))
            }
        }
    }

    fn is_merge(&self) -> bool {
        matches!(&self.content, Content::Scalar(key) if key.plain && key.text == "<<")
    }

    /// Returns the keys of a block that have a value. A block that is merged with `<<` counts at its
    /// position: the later of two values of a key wins.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Error> {
        let Content::Block(pairs) = &self.content else {
            return Err(Error::new("it must be a block of keys"));
        };
        let mut entries: Vec<Entry> = Vec::new();
        for (key, value) in pairs {
            let sources = if key.is_merge() { value.merged()? } else { Vec::new() };
            for source in sources {
                for entry in source.entries()? {
                    entries.retain(|known| known.key != entry.key);
                    entries.push(Entry { merged: true, ..entry });
                }
            }
            if !key.is_merge() {
                let key = key.scalar("a key").and_then(Scalar::text);
                let key = key.map_err(|e| e.at(self.line))?.to_owned();
                entries.retain(|known| !known.merged || known.key != key);
                entries.push(Entry { key, value: value.clone(), merged: false });
            }
        }
        entries.retain(|entry| !entry.value.is_null());
        Ok(entries)
    }

    /// Returns the blocks that `<<: self` merges. The last one has the highest priority.
    fn merged(&self) -> Result<Vec<&Node>, Error> {
        let sources = match &self.content {
            Content::Block(_) => vec![self],
            Content::List(list) => list.iter().rev().map(|node| &**node).collect(),
            Content::Scalar(_) => Vec::new(),
        };
        let is_usable = |node: &&Node| matches!(node.content, Content::Block(_));
        if sources.is_empty() || !sources.iter().all(is_usable) {
            return Err(Error::new("<< needs a block of keys, or a list of them").at(self.line));
        }
        Ok(sources)
    }
}

/// A key that has a value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Rc<Node>,
    /// The entry comes from another block.
    merged: bool,
}

/// Builds a tree from the parser's events.
#[derive(Default)]
struct Builder {
    /// Collections that have not ended yet.
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
}

struct Open {
    line: usize,
    anchor: usize,
    is_block: bool,
    nodes: Vec<Rc<Node>>,
}

impl Builder {
    fn build(mut self, text: &str) -> Result<Rc<Node>, Error> {
        let parser = Parser::new_from_str(text);
        for event in parser {
            let (event, span) = event.map_err(|e| {
                let line = self.open.last().map_or(e.marker().line(), |open| open.line);
                Error::new(format!("{}not YAML: {}", self.key(), e.info())).at(line)
            })?;
            let line = span.start.line();
            if let Some(root) = self.take(event, line).map_err(|e| e.at(line))? {
                return Ok(root);
            }
        }
        Ok(Rc::new(Node { line: 1, content: Content::Block(Vec::new()) }))
    }

    /// Returns the key whose value has not ended yet, for an error message.
    fn key(&self) -> String {
        let blocks = self.open.iter().filter(|open| open.is_block && open.nodes.len() % 2 == 1);
        let keys = blocks.filter_map(|open| open.nodes.last()?.scalar("a key").ok());
        let keys: Vec<_> = keys.map(|key| &*key.text).collect();
        if keys.is_empty() { String::new() } else { keys.join(".") + ": " }
    }

    /// Handles one event. Returns the tree after the last one.
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<Option<Rc<Node>>, Error> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| match tag.core_suffix() {
                    Some("str") => Tag::Text,
                    Some("bool") => Tag::Bool,
                    Some("int") => Tag::Int,
                    Some("float") => Tag::Float,
                    Some("null") => Tag::Null,
                    Some("binary") => Tag::Binary,
                    _ => Tag::Other,
                });
                let plain = style == ScalarStyle::Plain;
                let scalar = Scalar { text: text.into_owned(), plain, tag };
                Ok(self.add(Node { line, content: Content::Scalar(scalar) }, anchor))
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, false),
            Event::MappingStart(_, anchor, _) => self.begin(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { line, anchor, is_block, nodes }) = self.open.pop() else {
                    return Err(Error::new("not YAML: a collection ends that did not begin"));
                };
                let content = if is_block {
                    let pairs = nodes.chunks_exact(2);
                    Content::Block(pairs.map(|p| (p[0].clone(), p[1].clone())).collect())
                } else {
                    Content::List(nodes)
                };
                Ok(self.add(Node { line, content }, anchor))
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Error::new("a value contains itself"))?;
                Ok(self.attach(node))
            }
            _ => Ok(None),
        }
    }

    fn begin(
        &mut self,
        line: usize,
        anchor: usize,
        is_block: bool,
    ) -> Result<Option<Rc<Node>>, Error> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Error::new("it is nested too deeply"));
        }
        self.open.push(Open { line, anchor, is_block, nodes: Vec::new() });
        Ok(None)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Option<Rc<Node>> {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.attach(node)
    }

    /// Adds the node to the open collection. Without one, the node is the root and is returned.
    fn attach(&mut self, node: Rc<Node>) -> Option<Rc<Node>> {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => return Some(node),
        }
        None
    }
}
