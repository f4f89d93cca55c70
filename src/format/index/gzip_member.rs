//! Empty gzip members that carry a payload in their extra field (RFC 1952, 2.3.1.1).

use crate::format::gzip::FINAL_BLOCK;

/// Bytes of the compressed index in every member except the last.
pub(super) const PIECE: usize = 8192;

/// Bytes of a member in addition to its payload.
pub(super) const OVERHEAD: usize = 26;

/// The kinds of member: the two bytes that identify a subfield of the extra field.
pub(super) const PIECE_ID: [u8; 2] = *b"WX";
pub(super) const FOOTER_ID: [u8; 2] = *b"WF";

/// Returns a member with this payload.
pub(super) fn encode(id: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let mut member = Vec::with_capacity(payload.len() + OVERHEAD);
    let len = payload.len() as u16;
    member.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
    member.extend((len + 4).to_le_bytes());
    member.extend(id);
    member.extend(len.to_le_bytes());
    member.extend(payload);
    member.extend(FINAL_BLOCK);
    member.extend([0; 8]);
    member
}

/// Returns the payload and the length of the member at the start of `bytes`.
pub(super) fn decode(bytes: &[u8], id: [u8; 2]) -> Option<(&[u8], usize)> {
    let len = usize::from(u16::from_le_bytes(*bytes.get(14..)?.first_chunk()?));
    let payload = bytes.get(16..16 + len)?;
    let member = bytes.get(..len + OVERHEAD)?;
    (len + 4 <= 0xffff && member == encode(id, payload)).then_some((payload, member.len()))
}

/// Returns whether `bytes` begins like a member with a part of an index.
pub(crate) fn begins_index(bytes: &[u8]) -> bool {
    bytes.get(12..14) == Some(&PIECE_ID)
}
