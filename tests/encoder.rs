//! The encoder is the choice of the caller. The build decides only which encoders there are.

mod support;

use std::fmt::Write;

use support::{Tree, archive, bytes};
use wingback::{BUILD, Encoder, ErrorKind};

/// Three segments of text.
fn log() -> String {
    let mut log = String::new();
    for i in 0u32.. {
        if log.len() >= 3 << 20 {
            break;
        }
        let player = i.wrapping_mul(2_654_435_761) >> 20;
        writeln!(log, "[12:{:02}:{:02}] player{player} joined", i / 60 % 60, i % 60).unwrap();
    }
    log.truncate(3 << 20);
    log
}

/// Returns the bytes of the segments that have only content of the log.
fn content(archive: &[u8]) -> Vec<u8> {
    let segments = support::forge::read(archive).1.segments;
    let lens: Vec<_> = segments.iter().map(|segment| segment.compressed_len as usize).collect();
    assert_eq!(lens.len(), 5, "the headers, the content, the end");
    let start = 10 + lens[0];
    archive[start..start + lens[1..4].iter().sum::<usize>()].to_vec()
}

/// The hash was taken from a build without the feature `isal`.
#[test]
fn the_default_encoder_writes_the_same_bytes_in_every_build() {
    let tree = Tree::with(&[("latest.log", log().as_bytes())]);
    let (_, by_default) = bytes(tree.backup()).unwrap();
    let (_, by_name) = bytes(tree.backup().encoder(Encoder::Wingback)).unwrap();
    assert!(by_default == by_name);
    let hash = blake3::hash(&content(&by_default));
    assert_eq!(
        hash.to_hex().as_str(),
        "85c1441fadc07ab8cdf0cae0693b7536c24a688efadcc0c42e4ceecfda6fe0c0"
    );
}

#[test]
fn the_footer_names_the_encoder() {
    let tree = Tree::with(&[("latest.log", log().as_bytes())]);
    for &encoder in BUILD.encoders {
        let (_, archive) = archive(tree.backup().encoder(encoder));
        let number_and_level = match encoder {
            Encoder::IsaL => 3 | 2 << 8,
            _ => 5 | 1 << 8,
        };
        assert_eq!(archive.flags, number_and_level);
    }
}

#[test]
fn an_encoder_that_is_not_available_fails_before_anything_is_written() {
    let tree = Tree::with(&[("a", b"a")]);
    let result = bytes(tree.backup().encoder(Encoder::IsaL));
    match BUILD.encoders.contains(&Encoder::IsaL) {
        true => assert!(result.is_ok()),
        false => {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().ends_with("build with the feature isal, or use wingback"));
        }
    }
}

#[cfg(feature = "isal")]
mod isal {
    use futures::executor::block_on;
    use wingback::{Backup, Level, Previous, Verify, Warning};

    use super::{support::in_memory, *};

    #[test]
    fn isa_l_refuses_other_levels() {
        let tree = Tree::with(&[("a", b"a")]);
        for level in [Level::None, Level::Best] {
            let error = bytes(tree.backup().encoder(Encoder::IsaL).level(level)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{level:?}");
        }
    }

    #[test]
    fn isa_l_makes_an_archive_of_the_same_content() {
        let tree = Tree::with(&[("latest.log", log().as_bytes())]);
        let ours = archive(tree.backup()).1;
        let (_, bytes) = bytes(tree.backup().encoder(Encoder::IsaL)).unwrap();
        assert!(support::format::read(&bytes).entries == ours.entries);
        assert!(block_on(Verify::new().start(in_memory(&bytes))).unwrap().is_whole());
    }

    #[test]
    fn segments_of_another_encoder_are_copied_only_if_asked() {
        let tree = Tree::with(&[("latest.log", log().as_bytes())]);
        let previous = tree.tmp.path().join("previous.tar.gz");
        std::fs::write(&previous, bytes(tree.backup()).unwrap().1).unwrap();
        let next = || -> Backup {
            tree.backup().encoder(Encoder::IsaL).previous(Previous::File(previous.clone()))
        };
        let (unasked, archive_of_one) = archive(next());
        assert!(
            matches!(unasked.warnings[..], [Warning::PreviousUnused(_)]) && unasked.copied == 0
        );
        assert_eq!(archive_of_one.flags as u8, 3);
        let (asked, archive_of_both) = archive(next().reuse_any(true));
        assert!(asked.copied > 0 && asked.warnings.is_empty(), "{asked:?}");
        assert_eq!(archive_of_both.flags as u8, 6, "several encoders");
    }
}
