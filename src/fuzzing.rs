//! Entry points of the fuzz targets beside the public API.

use crate::{
    format::tar::{BLOCK, Reader, Step},
    fs::ignore::{Excludes, Rules},
    warning::PatternOrigin,
};

/// Reads the headers of a tar stream, and skips the content that they announce.
pub fn headers(mut tar: &[u8]) {
    let mut reader = Reader::new();
    while let Some((block, rest)) = tar.split_first_chunk::<BLOCK>() {
        tar = rest;
        match reader.block(block) {
            Ok(Step::More) => {}
            Ok(Step::Member(member)) => {
                if let Some(map) = &member.sparse {
                    let ends = map.iter().map(|&(offset, len)| offset + len);
                    assert!(
                        ends.clone().is_sorted()
                            && ends.last().is_none_or(|end| end <= member.size)
                    );
                    assert_eq!(map.iter().map(|&(_, len)| len).sum::<u64>(), member.stored);
                }
                assert!(member.header_len.is_multiple_of(BLOCK as u64));
                let content = member.stored.next_multiple_of(BLOCK as u64);
                tar = usize::try_from(content).ok().and_then(|n| tar.get(n..)).unwrap_or_default();
            }
            Ok(Step::End) | Err(_) => return,
        }
    }
    let _ = reader.end();
}

/// Compiles patterns and matches a path with them, under both rule sets.
pub fn excludes(patterns: &[u8], path: &[u8]) {
    for rules in [Rules::Git, Rules::Wings] {
        let mut excludes = Excludes::new(rules);
        if excludes.add(PatternOrigin::Caller, patterns).is_err() {
            continue;
        }
        for is_dir in [false, true] {
            let excluded = excludes.is_excluded(path, is_dir);
            if rules == Rules::Git {
                let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
                let mut above = slashes.map(|(at, _)| &path[..at]);
                let covered = excluded || above.any(|dir| excludes.is_excluded(dir, true));
                assert_eq!(excludes.covers(path, is_dir), covered);
            }
        }
        let _ = excludes.must_enter(path);
        let _ = excludes.warnings();
    }
}
