//! XML of responses, read without recursion and with bounds of depth and size.

use xml::{ParserConfig, reader::XmlEvent};

/// Depth of nested elements. A list of objects has four levels.
const DEPTH_MAX: usize = 8;

/// Elements of one response. A page of a list has a thousand objects with a dozen elements each.
const ELEMENTS_MAX: usize = 1 << 16;

/// Attributes of an element, and bytes of a name or an attribute.
const ATTRIBUTES_MAX: usize = 64;
const NAME_MAX: usize = 4 << 10;

/// An element with its text and children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Parses a document and returns its outermost element. The error says what is wrong with the document. Spaces before
    /// it are allowed: a service sends them to keep a connection open.
    pub(crate) fn parse(document: &[u8]) -> Result<Element, String> {
        let document = document.trim_ascii_start();
        let config = ParserConfig::new()
            .cdata_to_characters(true)
            .max_entity_expansion_length(1000)
            .max_entity_expansion_depth(3)
            .max_attributes(ATTRIBUTES_MAX)
            .max_name_length(NAME_MAX)
            .max_attribute_length(NAME_MAX)
            .max_data_length(document.len().max(1));
        let mut events = config.create_reader(document);
        let mut open: Vec<Element> = Vec::new();
        let mut elements = 0;
        loop {
            match events.next().map_err(|e| e.to_string())? {
                XmlEvent::StartElement { name, .. } => {
                    elements += 1;
                    if open.len() == DEPTH_MAX || elements > ELEMENTS_MAX {
                        return Err("it has too many elements".into());
                    }
                    open.push(Element { name: name.local_name, ..Element::default() });
                }
                XmlEvent::Characters(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                }
                XmlEvent::EndElement { .. } => {
                    let Some(element) = open.pop() else {
                        return Err("an element ends that did not begin".into());
                    };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                XmlEvent::EndDocument => return Err("it has no element".into()),
                _ => {}
            }
        }
    }

    /// Returns the text of the first child with this name.
    pub(crate) fn child(&self, name: &str) -> Option<&str> {
        self.children(name).next().map(|child| &*child.text)
    }

    /// Returns the children with this name.
    pub(crate) fn children(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_texts_are_found() {
        let list =
            b" \n<?xml version=\"1.0\"?><List xmlns=\"http://x/\"><IsTruncated>true</IsTruncated>\
            <Contents><Key>a &amp; b</Key><Size>1</Size></Contents><Empty/>\
            <Contents><Key><![CDATA[<c>]]></Key></Contents></List>";
        let list = Element::parse(list).expect("it is well formed");
        assert_eq!((&*list.name, list.child("IsTruncated")), ("List", Some("true")));
        let keys: Vec<_> = list.children("Contents").map(|entry| entry.child("Key")).collect();
        assert_eq!(keys, [Some("a & b"), Some("<c>")]);
        assert_eq!((list.child("Empty"), list.child("Size")), (Some(""), None));
    }

    #[test]
    fn malformed_and_excessive_documents_are_errors() {
        let lol = "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaaaaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\">\
            <!ENTITY c \"&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;\">]><l>&d;</l>";
        let attributes: String = (0..100).map(|i| format!(" a{i}='1'")).collect();
        for bad in [
            "".to_owned(),
            "<html>".into(),
            "<a></b>".into(),
            "</a>".into(),
            "text".into(),
            "<a>".repeat(9) + &"</a>".repeat(9),
            format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX)),
            format!("<a{attributes}/>"),
            lol.into(),
        ] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{:.80}", bad);
        }
    }
}
