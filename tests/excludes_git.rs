//! `Rules::Git`, compared with git itself.

mod generator;
#[path = "support/left_out.rs"]
mod left_out;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use fastrand::Rng;
use ignore::gitignore::GitignoreBuilder;
use left_out::left_out;
use tempfile::TempDir;
use wingback::{Excludes, PatternMatch, PatternOrigin, PatternProblem, Rules};

const LISTS: usize = 500;
const HOSTILE_LISTS: usize = 600;
const PATHS: usize = 20;

#[rustfmt::skip]
const NAMES: &[&[u8]] = &[
    b"a", b"a", b"b", b"b", b"ab", b"A", b"0", b"9", b"x", b"foo", b"bar", b".log", b".", b"-",
    b" ", b"!", b"#", b"\\", b"[", b"]", b"*", b"?", b":", b"^", b"{a,b}", b"\t", b"\r", b"\n",
    b"\xC3\xA9", b"\xC3", b"\xFF", b"\x80", b"\x0B", b"\x7F", b"~",
];

#[rustfmt::skip]
const PATTERNS: &[&[u8]] = &[
    b"a", b"b", b"ab", b"foo", b"bar", b".log", b"*", b"*", b"*", b"**", b"**/", b"/**",
    b"/**/", b"/", b"/", b"//", b"***", b"?", b"?", b"!", b"#", b" ", b"  ", b"\\", b"\\ ",
    b"\\*", b"\\/", b"\\a", b"\\[", b"\\\\", b"\t", b"\r", b"\0", b"[", b"]", b"[ab]", b"[!a]",
    b"[^a]", b"[a-z]", b"[z-a]", b"[]a]", b"[!]a]", b"[]-a]", b"[a-]", b"[-a]", b"[--0]",
    b"[a\\]b]", b"[\\a-\\z]", b"[a-b-z]", b"[[:digit:]]", b"[[:alpha:]0]", b"[^[:upper:]]",
    b"[[:space:]]", b"[[:foo:]]", b"[[:alpha:]", b"[[:a]", b"[[:]", b"[[::]]", b"[[:a-z]",
    b"[a/b]", b"[!/]", b"[\x80-\xFF]", b"[\xC3\xA9]", b"{a,b}", b"\xC3\xA9", b"\xC3", b"\xFF",
    b"\xEF\xBB\xBF", b"-", b"^", b".",
];

#[test]
fn generated_patterns_match_as_in_git() {
    compare_with_git(0x9E37_79B9, LISTS, case);
}

#[test]
fn hostile_patterns_match_as_in_git() {
    compare_with_git(0x7F4A_7C15, HOSTILE_LISTS, hostile_case);
}

/// Asks git about the paths of `lists` random cases, and fails if our results differ: the pattern that decides,
/// and whether it excludes.
fn compare_with_git(seed: u64, lists: usize, case: fn(&mut Rng) -> Case) {
    let mut rng = Rng::with_seed(seed);
    let git = Git::new();
    let (mut cases, mut excluded, mut included_again) = (0, 0, 0);
    // How often the crate `ignore` differs from git: in all lists, and in those of plain text.
    let (mut crate_differs, mut crate_differs_in_text) = (0, 0);
    let mut differences = Vec::new();
    let stars_cross = git.stars_cross();
    for _ in 0..lists {
        let (patterns, queries) = case(&mut rng);
        if !stars_cross && has_stars_after_text(&patterns) {
            continue;
        }
        let answers = git.answers(&patterns, &queries);
        let ours = excludes(&patterns);
        let theirs = git.ignore_crate();
        for ((path, is_dir), answer) in queries.iter().zip(answers) {
            let expected = answer.excludes();
            cases += 1;
            excluded += usize::from(expected);
            included_again += usize::from(answer.line.is_some() && !expected);
            let differs = |actual: bool| actual != expected;
            if differs(top_down(path, *is_dir, |path, is_dir| {
                theirs.matched(OsStr::from_bytes(path), is_dir).is_ignore()
            })) {
                crate_differs += 1;
                crate_differs_in_text += usize::from(str::from_utf8(&patterns).is_ok());
            }
            let found = last_match_top_down(path, *is_dir, &ours);
            if differs(top_down(path, *is_dir, |path, is_dir| ours.is_excluded(path, is_dir)))
                || !answer.is(found.as_ref())
            {
                differences.push(format!(
                    "git says {answer:?} to '{}' (directory: {is_dir}) for '{}', and not {found:?}",
                    path.escape_ascii(),
                    patterns.escape_ascii()
                ));
            }
        }
    }
    println!(
        "{cases} cases, {excluded} excluded, {included_again} included again; the crate `ignore` differs in {crate_differs}, \
         {crate_differs_in_text} of them in lists that are valid UTF-8"
    );
    assert!(cases >= lists * PATHS / 2 && excluded > cases / 10 && excluded < cases * 9 / 10);
    assert!(included_again > cases / 100);
    assert!(
        differences.is_empty(),
        "{} differences, such as\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

#[test]
fn rare_patterns_match_as_in_git() {
    let git = Git::new();
    #[rustfmt::skip]
    let names: &[&[u8]] = &[
        b"b", b"ab", b"a/b", b"a/x/b", b"a1/x/b", b"x/a1/b", b"foobar", b"foo/bar",
        b"foox/y/bar", b"xa", b"xb", b"xc", b"xd", b"xz", b"x-", b"x5", b"x\\", b"x]", b"x[",
        b"x:",
    ];
    let queries: Vec<_> = names.iter().map(|name| (name.to_vec(), false)).collect();
    #[rustfmt::skip]
    let patterns = [
        "/a**/b", "**\\/b", "a/**\\/b", "a\\/**/b", "a**\\/b", "a/***/b", "?**/b", "x[\\a-c]",
        "x[\\a-\\c]", "x[a-c-z]", "x[a-b-]", "x[a-\\]]", "x[[:digit:]-z]", "x[[:a-c]", "x[[:]",
        "x[]-a]", "x[!]-a]", "x[5-]]", "x[--a]", "x[[-c]", "x[\\\\]", "x[c-a]", "x[!c-a]",
    ];
    for pattern in patterns {
        if has_stars_after_text(pattern.as_bytes()) && !git.stars_cross() {
            continue;
        }
        let ours = excludes(pattern.as_bytes());
        for ((path, _), answer) in queries.iter().zip(git.answers(pattern.as_bytes(), &queries)) {
            let (is_excluded, shown) = (ours.is_excluded(path, false), path.escape_ascii());
            assert_eq!(is_excluded, answer.excludes(), "{pattern} and '{shown}'");
        }
    }
}

#[test]
fn character_classes_match_every_byte_as_in_git() {
    let git = Git::new();
    let queries: Vec<_> =
        (1..=u8::MAX).filter(|&byte| byte != b'/').map(|byte| (vec![b'x', byte], false)).collect();
    for class in [
        "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "xdigit", "word",
    ] {
        for negation in ["", "!"] {
            let pattern = format!("x[{negation}[:{class}:]]");
            let ours = excludes(pattern.as_bytes());
            for ((path, _), answer) in queries.iter().zip(git.answers(pattern.as_bytes(), &queries))
            {
                let (is_excluded, shown) = (ours.is_excluded(path, false), path.escape_ascii());
                assert_eq!(is_excluded, answer.excludes(), "{pattern} and '{shown}'");
            }
        }
    }
}

#[test]
fn documented_examples_match() {
    let list = excludes(b"*.log\r\ntemp/\r\ncache/**\r\nnode_modules/\r\n*.tmp\r\n");
    assert_eq!(list.warnings(), []);
    for (path, is_dir, expected) in [
        ("latest.log", false, true),
        ("logs/old.log", false, true),
        ("latest.log.gz", false, false),
        ("temp", true, true),
        ("world/temp", true, true),
        ("temp", false, false),
        ("cache", true, false),
        ("cache/a", false, true),
        ("cache/a/b", false, true),
        ("world/cache/a", false, false),
        ("web/node_modules", true, true),
        ("a.tmp", false, true),
        ("world/level.dat", false, false),
    ] {
        assert_eq!(list.is_excluded(path.as_bytes(), is_dir), expected, "{path}");
    }
}

#[test]
fn nothing_below_an_excluded_directory_is_included_again() {
    let list = excludes(b"*\n!world\n");
    assert!(!list.is_excluded(b"world", true));
    assert!(list.is_excluded(b"world/level.dat", false));
    let list = excludes(b"world/\n!world/level.dat\n");
    assert!(list.is_excluded(b"world", true));
    assert!(!list.must_enter(b"world"));
}

#[test]
fn later_patterns_win() {
    let mut list = excludes(b"*.log");
    list.add(PatternOrigin::Caller, b"!keep.log").unwrap();
    assert!(!list.is_excluded(b"keep.log", false));
    assert!(list.is_excluded(b"other.log", false));
}

#[test]
fn the_deciding_pattern_has_its_origin_and_its_line_in_that_text() {
    let mut list = excludes(b"\xEF\xBB\xBF# logs\r\n*.log  \r\n\n/cache");
    list.add(PatternOrigin::ExcludeFrom("/etc/excludes".into()), b"").unwrap();
    list.add(PatternOrigin::ExcludeFrom("/etc/more".into()), b"\nworld/\n").unwrap();
    list.add(PatternOrigin::Caller, b"*.tmp\n!keep.log\n*.tmp").unwrap();
    let found = |path: &str, is_dir| list.last_match(path.as_bytes(), is_dir);
    for (path, is_dir, origin, line, pattern, is_negated) in [
        ("a/b.log", false, PatternOrigin::IgnoreFile, 2, "*.log  ", false),
        ("cache", true, PatternOrigin::IgnoreFile, 4, "/cache", false),
        ("world", true, PatternOrigin::ExcludeFrom("/etc/more".into()), 2, "world/", false),
        ("a/keep.log", false, PatternOrigin::Caller, 2, "!keep.log", true),
        ("x.tmp", false, PatternOrigin::Caller, 3, "*.tmp", false),
    ] {
        let found = found(path, is_dir).expect(path);
        assert_eq!((found.origin, found.line), (origin, line), "{path}");
        assert_eq!((&*found.pattern, found.is_negated), (pattern.as_bytes(), is_negated), "{path}");
    }
    assert_eq!(found("world", false), None);
    assert_eq!(found("server.jar", false), None);
}

#[test]
fn suspicious_patterns_cause_warnings() {
    use PatternProblem::*;
    let list = excludes(
        b"# [\n[a\nx\\\n!\n/\n!/\nworld\\region\n[[:foo:]]\nworld**/region\n\n\\#a\n\\!b\na\\ \n",
    );
    let found: Vec<_> = list.warnings().iter().map(|w| (w.line, w.problem)).collect();
    assert_eq!(
        found,
        [
            (2, UnclosedBracket),
            (3, TrailingBackslash),
            (4, Empty),
            (5, Empty),
            (6, Empty),
            (7, BackslashInName),
            (8, UnknownClass),
            (9, StarsAfterName),
        ]
    );
    let shown = list.warnings()[0].to_string();
    assert_eq!(shown, "ignore file, line 2: '[a': '[' is never closed, so this matches nothing");
    let list = excludes(&b"?".repeat(10_000));
    assert_eq!(list.warnings()[0].problem, TooLarge);
}

/// A few patterns, and paths to test, each with whether it is a directory.
type Case = (Vec<u8>, Vec<(Vec<u8>, bool)>);

/// Short names, and patterns with all features of the language.
fn case(rng: &mut Rng) -> Case {
    let paths = generator::paths(rng, NAMES, PATHS);
    let mut patterns = Vec::new();
    if rng.u8(..20) == 0 {
        patterns.extend(b"\xEF\xBB\xBF");
    }
    for _ in 0..rng.usize(1..=5) {
        patterns.extend(generator::pick(
            rng,
            &[b"", b"", b"", b"", b"!", b"/", b"**/", b"\\", b"#", b" "],
        ));
        if rng.u8(..3) > 0 {
            let path = &paths[rng.usize(..PATHS)];
            patterns.extend(generator::disguise(rng, path, PATTERNS));
        } else {
            for _ in 0..rng.usize(1..=4) {
                patterns.extend(generator::pick(rng, PATTERNS));
            }
        }
        patterns.extend(generator::pick(
            rng,
            &[b"", b"", b"", b"", b"/", b"/**", b" ", b"\\ ", b"\r", b" \r", b"\t"],
        ));
        patterns.extend(generator::pick(rng, &[b"\n", b"\n", b"\n", b"\r\n"]));
    }
    if rng.bool() {
        patterns.pop();
    }
    (patterns, some_as_directories(rng, paths))
}

/// Long names of few letters, and patterns that can match them in many ways.
fn hostile_case(rng: &mut Rng) -> Case {
    const LETTERS: &[&[u8]] = &[b"a", b"a", b"b", b"\xFF", b"\x80", b"\xC3\xA9", b"."];
    const PARTS: &[&[u8]] = &[
        b"*",
        b"*",
        b"*",
        b"**",
        b"***",
        b"**/",
        b"/**",
        b"/**/",
        b"**/**/",
        b"/**/*/",
        b"*/",
        b"?",
        b"?",
        b"a",
        b"b",
        b"\xFF",
        b"\x80",
        b"\xC3\xA9",
        b"[ab]",
        b"[!b]",
        b"[^\xFF]",
        b"[\x80-\xFF]",
        b"[a-b]*",
        b"*[!a]",
        b"?*",
        b"*?",
        b"*a*",
        b"*\xFF*",
        b"**a",
        b"a**",
        b"\\*",
        b"[*]",
        b"**\\/",
    ];
    let long = [0, 10, 40, 80][rng.usize(..4)];
    let letters: Vec<_> = (0..rng.usize(1..=3)).map(|_| generator::pick(rng, LETTERS)).collect();
    let paths: Vec<_> = generator::paths(rng, &letters, PATHS)
        .into_iter()
        .map(|path| {
            // Repetition makes each name longer, the same way wherever it occurs.
            let names = path.split(|&byte| byte == b'/');
            let names: Vec<_> =
                names.map(|n| [&n.repeat(1 + long / n.len()), n].concat()).collect();
            names.join(&b'/')
        })
        .filter(|path| {
            !path.split(|&byte| byte == b'/').any(|name| name.iter().all(|&b| b == b'.'))
        })
        .collect();
    let mut patterns = Vec::new();
    for _ in 0..rng.usize(1..=4) {
        patterns.extend(generator::pick(rng, &[b"", b"", b"", b"!", b"/", b"**/"]));
        match paths.get(rng.usize(..PATHS)) {
            Some(path) if rng.u8(..3) > 0 => {
                patterns.extend(generator::disguise(rng, path, PARTS));
            }
            _ => (0..rng.usize(1..=12)).for_each(|_| patterns.extend(generator::pick(rng, PARTS))),
        }
        patterns.extend(generator::pick(rng, &[b"\n", b"\n", b"/\n", b"/**\n", b"*\n"]));
    }
    (patterns, some_as_directories(rng, paths))
}

fn some_as_directories(rng: &mut Rng, paths: Vec<Vec<u8>>) -> Vec<(Vec<u8>, bool)> {
    let dirs: BTreeSet<_> = paths
        .iter()
        .filter(|_| rng.u8(..3) == 0)
        .flat_map(|path| ancestors(path).chain([path.as_slice()]))
        .map(<[u8]>::to_vec)
        .collect();
    let queries = paths.into_iter().map(|path| {
        let is_dir = dirs.contains(&path);
        (path, is_dir)
    });
    queries.collect()
}

fn has_stars_after_text(patterns: &[u8]) -> bool {
    patterns.windows(3).any(|bytes| bytes.ends_with(b"**") && !b"/\n".contains(&bytes[0]))
}

fn excludes(patterns: &[u8]) -> Excludes {
    let mut excludes = Excludes::new(Rules::Git);
    excludes.add(PatternOrigin::IgnoreFile, patterns).unwrap();
    excludes
}

/// Whether a walk from the root leaves out `path`.
fn top_down(path: &[u8], is_dir: bool, excluded: impl Fn(&[u8], bool) -> bool) -> bool {
    ancestors(path).any(|dir| excluded(dir, true)) || excluded(path, is_dir)
}

/// The pattern that decides in a walk from the root: one that excludes a directory above `path`, or the last one
/// that matches `path`.
fn last_match_top_down(path: &[u8], is_dir: bool, list: &Excludes) -> Option<PatternMatch> {
    let above = ancestors(path).filter_map(|dir| list.last_match(dir, true));
    let mut above = above.filter(|found| !found.is_negated);
    above.next().or_else(|| list.last_match(path, is_dir))
}

fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &path[..at])
}

/// The pattern that git decides by.
#[derive(Debug)]
struct Answer {
    line: Option<usize>,
    /// Without spaces at the end.
    pattern: Vec<u8>,
}

impl Answer {
    fn excludes(&self) -> bool {
        self.line.is_some() && !self.pattern.starts_with(b"!")
    }

    fn is(&self, found: Option<&PatternMatch>) -> bool {
        let is_pattern = |found: &PatternMatch| {
            found.pattern.starts_with(&self.pattern) && found.is_negated != self.excludes()
        };
        found.map(|found| found.line) == self.line && found.is_none_or(is_pattern)
    }
}

/// An empty repository, isolated from the user's git configuration.
struct Git(TempDir);

impl Git {
    fn new() -> Self {
        let git = Self(tempfile::tempdir().unwrap());
        let status = git.command(&["init", "--quiet"]).status();
        assert!(status.expect("this test needs git to be installed").success(), "git init failed");
        git
    }

    /// Whether `**` directly after a name crosses directories. The documentation differs from git's
    /// behavior here, so releases of git may differ.
    fn stars_cross(&self) -> bool {
        let stars_cross =
            self.answers(b"foo**/bar", &[(b"foo/x/bar".to_vec(), false)])[0].excludes();
        if !stars_cross {
            left_out("patterns with ** right after a name: git has another answer");
        }
        stars_cross
    }

    fn answers(&self, patterns: &[u8], queries: &[(Vec<u8>, bool)]) -> Vec<Answer> {
        // Git treats paths that do not exist as files.
        fs::write(self.ignore_file(), patterns).unwrap();
        let root = self.0.path();
        for (path, _) in queries.iter().filter(|(_, is_dir)| *is_dir) {
            fs::create_dir_all(root.join(OsStr::from_bytes(path))).unwrap();
        }
        // A path that starts with a colon would be read as a pathspec.
        let input: Vec<_> =
            queries.iter().flat_map(|(path, _)| [b"./", path.as_slice(), b"\0"].concat()).collect();
        let mut process = self
            .command(&["check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(&input).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.code().is_some_and(|code| code <= 1), "git check-ignore failed");
        for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
            if entry.file_name() != ".git" {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }

        // Each record is the file, the line, the pattern and the path.
        let fields: Vec<_> = output.stdout.split(|&byte| byte == 0).collect();
        let records = fields.chunks_exact(4);
        assert_eq!(records.len(), queries.len());
        records
            .zip(queries)
            .map(|(record, (path, _))| {
                assert_eq!(record[3].strip_prefix(b"./"), Some(path.as_slice()));
                let line = str::from_utf8(record[1]).expect("a number").parse().ok();
                Answer { line, pattern: record[2].to_vec() }
            })
            .collect()
    }

    /// The crate `ignore` with the most recent patterns.
    fn ignore_crate(&self) -> ignore::gitignore::Gitignore {
        let mut builder = GitignoreBuilder::new("");
        builder.add(self.ignore_file());
        builder.build().unwrap_or_else(|_| ignore::gitignore::Gitignore::empty())
    }

    fn ignore_file(&self) -> impl AsRef<Path> + use<> {
        self.0.path().join(".git/info/exclude")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }
}
