//! Hostile archives and the expected result of each.

/// Expected result of an extraction.
#[derive(Debug)]
pub enum Want {
    /// An error that contains this text.
    Refused(&'static str),
    /// One member is skipped and reported.
    Skipped,
    /// Exactly these files are extracted.
    Fine(&'static [&'static str]),
}

pub struct Case {
    pub name: &'static str,
    pub tar: Vec<u8>,
    pub want: Want,
}

/// A tar header, built by hand.
pub struct Header([u8; 512]);

impl Header {
    pub fn new(flag: u8, name: &[u8], size: usize) -> Self {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[100..107].copy_from_slice(b"0000644");
        block[108..115].copy_from_slice(b"0000000");
        block[116..123].copy_from_slice(b"0000000");
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[136..147].copy_from_slice(b"00000000000");
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        Header(block)
    }

    pub fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub fn mode(self, mode: u32) -> Self {
        self.set(100, format!("{mode:07o}").as_bytes())
    }

    pub fn target(self, target: &[u8]) -> Self {
        self.set(157, target)
    }

    /// Returns the block with its checksum.
    pub fn block(mut self) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.0[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0.to_vec()
    }
}

pub fn member(header: Header, content: &[u8]) -> Vec<u8> {
    let mut bytes = header.block();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    member(Header::new(b'0', name, content.len()), content)
}

pub fn link(flag: u8, name: &[u8], target: &[u8]) -> Vec<u8> {
    member(Header::new(flag, name, 0).target(target), b"")
}

pub fn directory(name: &[u8]) -> Vec<u8> {
    member(Header::new(b'5', name, 0).mode(0o755), b"")
}

pub fn extension(flag: u8, body: &[u8]) -> Vec<u8> {
    member(Header::new(flag, b"extension", body.len()), body)
}

pub fn record(text: &str) -> Vec<u8> {
    let mut len = text.len() + 3;
    loop {
        let record = format!("{len} {text}\n");
        if record.len() == len {
            return record.into_bytes();
        }
        len += 1;
    }
}

pub fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = members.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}

pub fn cases() -> Vec<Case> {
    use Want::{Fine, Refused, Skipped};
    let case = |name, members: &[Vec<u8>], want| Case { name, tar: tar(members), want };
    let long = |len| vec![b'n'; len];
    let size = |field: &[u8]| member(Header::new(b'0', b"a", 0).set(124, field), b"");
    let mut cases = vec![
        case("an absolute path", &[file(b"/victim", b"x")], Refused("absolute")),
        case("a path upwards", &[file(b"../victim", b"x")], Refused("leads out")),
        case("a path up and down", &[file(b"a/../../../victim", b"x")], Refused("leads out")),
        case("a path with .. after ./", &[file(b"./../victim", b"x")], Refused("leads out")),
        case("an empty component", &[file(b"a//b", b"x")], Fine(&["a/b"])),
        case("a dot inside", &[file(b"a/./b", b"x")], Fine(&["a/b"])),
        case(
            "a path with .. after components without effect",
            &[file(b".//a/.//../../victim", b"x")],
            Refused("leads out"),
        ),
        case("no name", &[file(b"", b"x")], Refused("no name")),
        case("only a slash", &[file(b"/", b"")], Refused("absolute")),
        case("two dots", &[member(Header::new(b'5', b"..", 0), b"")], Refused("leads out")),
        case(
            "a component that is too long",
            &[extension(b'L', &long(256)), file(b"n", b"x")],
            Refused("longer than 255 bytes"),
        ),
        case(
            "a path that is too long",
            &[
                extension(b'L', &[&long(200)[..], b"/"].concat().repeat(21)[..4215]),
                file(b"n", b"x"),
            ],
            Refused("longer than 4,096 bytes"),
        ),
        case(
            "a NUL in a name",
            &[extension(b'x', &record("path=a\0b")), file(b"n", b"x")],
            Refused("NUL"),
        ),
        case(
            "a link, then a file through it",
            &[link(b'2', b"d", b"../.."), file(b"d/victim", b"x")],
            Refused("d"),
        ),
        case(
            "a link, then a file over it",
            &[link(b'2', b"f", b"../../victim"), file(b"f", b"x")],
            Fine(&["f"]),
        ),
        case(
            "a file, then a link over it",
            &[file(b"f", b"x"), link(b'2', b"f", b"../../victim")],
            Fine(&[]),
        ),
        case("a link to a secret", &[link(b'2', b"l", b"/etc/shadow")], Fine(&[])),
        case("a link to nothing", &[link(b'2', b"l", b"")], Refused("link without a target")),
        case(
            "a hard link outside",
            &[link(b'1', b"h", b"../../victim")],
            Refused(
                "hard link h: use the path ../../victim: it has a component \"..\", which leads out",
            ),
        ),
        case(
            "a hard link to an absolute path",
            &[link(b'1', b"h", b"/etc/passwd")],
            Refused("hard link h: use the path /etc/passwd: it is absolute"),
        ),
        case("a hard link to nothing", &[link(b'1', b"h", b"a")], Refused("no file of that name")),
        case(
            "a hard link to a link",
            &[link(b'2', b"l", b"../../victim"), link(b'1', b"h", b"l")],
            Fine(&[]),
        ),
        case(
            "a hard link to a file",
            &[file(b"f", b"x"), link(b'1', b"h", b"f")],
            Fine(&["f", "h"]),
        ),
        case(
            "a hard link, then a file over it",
            &[file(b"f", b"x"), link(b'1', b"h", b"f"), file(b"h", b"other")],
            Fine(&["f", "h"]),
        ),
        case(
            "a prefix with ..",
            &[member(Header::new(b'0', b"victim", 0).set(345, b"../.."), b"")],
            Refused("leads out"),
        ),
        case(
            "a sparse name with ..",
            &[
                extension(
                    b'x',
                    &[
                        record("GNU.sparse.name=../victim"),
                        record("GNU.sparse.size=0"),
                        record("GNU.sparse.numblocks=0"),
                    ]
                    .concat(),
                ),
                file(b"n", b""),
            ],
            Refused("leads out"),
        ),
        case("a path upwards at its end", &[directory(b"a/..")], Refused("leads out")),
        case("slashes after ./", &[file(b".//a", b"x")], Fine(&["a"])),
        case("the root itself", &[directory(b"./"), file(b"a", b"x")], Fine(&["a"])),
        case("the root as a link", &[link(b'2', b".", b"/")], Refused("no name")),
        case("backslashes", &[file(b"..\\a", b"x")], Fine(&["..\\a"])),
        case("control characters", &[file(b"\x1b[2J\n", b"x")], Fine(&["\u{1b}[2J\n"])),
        case(
            "a link, then a directory of its name, and a file in it",
            &[link(b'2', b"d", b"../.."), directory(b"d/"), file(b"d/victim", b"x")],
            Fine(&["d/victim"]),
        ),
        case(
            "a directory, then a link of its name, and a file in it",
            &[directory(b"d/"), link(b'2', b"d", b"../.."), file(b"d/victim", b"x")],
            Refused("a link is in the place of a directory"),
        ),
        case(
            "a link through a link",
            &[
                directory(b"d/"),
                link(b'2', b"d/e", b"../.."),
                link(b'2', b"f", b"d/e"),
                file(b"f/victim", b"x"),
            ],
            Refused("f"),
        ),
        case(
            "a loop of links",
            &[link(b'2', b"a", b"b"), link(b'2', b"b", b"a"), file(b"a/c", b"x")],
            Refused("a"),
        ),
        case(
            "a mode through a link",
            &[link(b'2', b"d", b"../.."), member(Header::new(b'5', b"d/", 0).mode(0), b"")],
            Fine(&[]),
        ),
        case(
            "a hard link through a link",
            &[link(b'2', b"d", b"../.."), link(b'1', b"h", b"d/victim")],
            Refused("no file of that name"),
        ),
        case(
            "a file through a hard link to a link",
            &[link(b'2', b"l", b"../.."), link(b'1', b"d", b"l"), file(b"d/victim", b"x")],
            Refused("a link is in the place of a directory"),
        ),
        case(
            "a hard link to a file, which a link replaces, and a file through that",
            &[
                file(b"f", b"x"),
                link(b'1', b"h", b"f"),
                link(b'2', b"f", b"../.."),
                file(b"f/victim", b"x"),
            ],
            Refused("a link is in the place of a directory"),
        ),
        case("a hard link to itself", &[link(b'1', b"h", b"h")], Refused("no file of that name")),
        case(
            "a hard link to a later member",
            &[link(b'1', b"h", b"a"), file(b"a", b"x")],
            Refused("no file of that name"),
        ),
        case(
            "a hard link to a directory",
            &[directory(b"d/"), link(b'1', b"h", b"d")],
            Refused("it names a directory"),
        ),
        case(
            "members after the end",
            &[file(b"a", b"x"), vec![0; 1024], file(b"../victim", b"x")],
            Fine(&["a"]),
        ),
        case(
            "a lone block of zeros",
            &[file(b"a", b"x"), vec![0; 512], file(b"b", b"x")],
            Refused("single block of zeros"),
        ),
        case("a device", &[member(Header::new(b'3', b"d", 0), b"")], Skipped),
        case("a block device", &[member(Header::new(b'4', b"d", 0), b"")], Skipped),
        case("a FIFO", &[member(Header::new(b'6', b"d", 0), b"")], Skipped),
        case("one file twice", &[file(b"f", b"one"), file(b"f", b"two, longer")], Fine(&["f"])),
        case(
            "a file, then a directory of its name",
            &[file(b"a", b"x"), member(Header::new(b'5', b"a/", 0), b"")],
            Fine(&[]),
        ),
        case(
            "a file where a directory must be",
            &[file(b"a", b"x"), file(b"a/b", b"x")],
            Refused("a"),
        ),
        case(
            "a directory, then a file of its name",
            &[member(Header::new(b'5', b"a/", 0), b""), file(b"a", b"x")],
            Fine(&["a"]),
        ),
        case(
            "a directory that is not empty, then a file of its name",
            &[directory(b"a/"), file(b"a/b", b"x"), file(b"a", b"x")],
            Refused("a directory is in its place"),
        ),
        case("a negative size", &[size(&[0xff; 12])], Refused("negative")),
        case(
            "an overflowing size",
            &[size(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff")],
            Refused("too large"),
        ),
        case("a size that is none", &[size(b"0000000000x")], Refused("number")),
        case(
            "a huge size",
            &[member(Header::new(b'0', b"a", 0).set(124, b"77777777777"), b"x")],
            Refused("ends inside a member"),
        ),
        case(
            "a PAX size that hides a member",
            &[
                extension(b'x', &record("size=512")),
                member(Header::new(b'0', b"a", 0), &file(b"../b", b"")),
            ],
            Fine(&["a"]),
        ),
        case(
            "a long name twice",
            &[extension(b'L', b"a\0"), extension(b'L', b"b\0"), file(b"c", b"x")],
            Refused("two extensions"),
        ),
        case(
            "two long names that differ",
            &[extension(b'L', b"a\0"), extension(b'x', &record("path=b")), file(b"c", b"x")],
            Refused("two long names"),
        ),
        case("an extension of nothing", &[extension(b'L', b"a\0")], Refused("no member after it")),
        case(
            "a global name",
            &[extension(b'g', &record("path=b")), file(b"c", b"x")],
            Refused("global header"),
        ),
        case(
            "a comment for all",
            &[extension(b'g', &record("comment=0123")), file(b"c", b"x")],
            Fine(&["c"]),
        ),
        case(
            "a huge extension",
            &[extension(b'L', &vec![b'n'; (1 << 20) + 1]), file(b"c", b"x")],
            Refused("over 1 MiB"),
        ),
        case(
            "an extension that claims to be huge",
            &[member(Header::new(b'x', b"e", 0).set(124, b"77777777777"), b"")],
            Refused("over 1 MiB"),
        ),
        case(
            "a sparse file of almost no bytes",
            &[
                extension(
                    b'x',
                    &[
                        record("GNU.sparse.size=67108864"),
                        record("GNU.sparse.numblocks=1"),
                        record("GNU.sparse.map=67108860,4"),
                    ]
                    .concat(),
                ),
                file(b"sparse", b"data"),
            ],
            Fine(&["sparse"]),
        ),
        case(
            "a sparse map beyond its end",
            &[
                extension(
                    b'x',
                    &[
                        record("GNU.sparse.size=100"),
                        record("GNU.sparse.numblocks=1"),
                        record("GNU.sparse.map=99,4"),
                    ]
                    .concat(),
                ),
                file(b"sparse", b"data"),
            ],
            Refused("beyond its end"),
        ),
        case("an unknown type", &[member(Header::new(b'Z', b"a", 1), b"x")], Fine(&["a"])),
        case("another case", &[file(b"a", b"x"), file(b"A", b"x")], Fine(&["A", "a"])),
    ];
    let mut wrong = file(b"a", b"x");
    wrong[0] ^= 1;
    cases.push(case("a wrong checksum", &[wrong], Refused("checksum")));
    let unterminated = file(b"a", b"x");
    cases.push(Case { name: "no end", tar: unterminated, want: Fine(&["a"]) });
    let mut half = file(b"a", b"x");
    half.truncate(300);
    cases.push(Case { name: "half a header", tar: half, want: Refused("inside a header") });
    cases.push(Case {
        name: "nothing at all",
        tar: Vec::new(),
        want: Refused("tar stream is empty"),
    });
    cases.push(case("an archive of nothing", &[], Fine(&[])));
    let many: Vec<_> = (0..20_000).map(|i| file(b"same", format!("{i}").as_bytes())).collect();
    cases.push(case("one name very often", &many[..200], Fine(&["same"])));
    cases
}
