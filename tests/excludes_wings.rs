//! `Rules::Wings`, compared with the Go package that Wings uses.

mod generator;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fastrand::Rng;
use wingback::{Excludes, PatternOrigin, PatternProblem, Rules};

const LISTS: usize = 1500;
const PATHS: usize = 20;

#[rustfmt::skip]
const NAMES: &[&[u8]] = &[
    b"a", b"a", b"b", b"b", b"ab", b"A", b"0", b"9", b"x", b"foo", b"bar", b".log", b".", b"-",
    b" ", b"!", b"#", b"\\", b"[", b"]", b"*", b"?", b":", b"^", b"$", b"(", b")", b"|", b"+",
    b"{2}", b"_", b"&&", b"~", b"\t", b"\r", b"\n", b"\xC3\xA9", b"\xC3", b"\xFF", b"\x80",
    b"\xE2\x82", b"\xEF\xBF\xBD", b"\xED\xA0\x80", b"\xF0\x9F\x98\x80", b"\x0B", b"\x7F",
];

#[rustfmt::skip]
const PATTERNS: &[&[u8]] = &[
    b"a", b"a", b"b", b"b", b"ab", b"foo", b"bar", b".log", b"*", b"*", b"**", b"**/", b"/**",
    b"/**/", b"/", b"/", b"//", b"*.", b"/*.", b"?", b"!", b"#", b" ", b"\\", b"\\.", b"\\?",
    b"\\*", b"\\/", b"\\!", b"\\#", b"\\_", b"\\\xC3\xA9", b"\t", b"\r", b"\0", b"[", b"]",
    b"[ab]", b"[!a]", b"[^a]", b"[a-z]", b"[^a-z]", b"[z-a]", b"[]a]", b"[^]a]", b"[a-]",
    b"[-a]", b"[--0]", b"[a\\]b]", b"[\\x61-\\x62]", b"[a-b-z]", b"[a&&b]", b"[a~~b]",
    b"[a--b]", b"[[a]", b"[a[b]", b"[[:digit:]]", b"[[:^alpha:]]", b"[[:word:]-]",
    b"[^[:punct:]]", b"[[:foo:]]", b"[[:a]", b"[[:ascii:]]", b"[[:space:]\\d]", b"[\\w-z]",
    b"[^\\S]", b"[.]", b"[*]", b"[\xC3\xA9-\xC3\xBF]", b"[\\x{D7FF}-\\x{E000}]", b"(", b")",
    b"(a|b)", b"(a|)", b"()", b"|", b"(ab)", b"(a(b|0)+)", b"+", b"{2}", b"{0}", b"{1,2}",
    b"{0,}", b"{,2}", b"{2,1}", b"{01}", b"{ 2}", b"{", b"}", b"{1000}", b"{1001}",
    b"(a{40}){26}", b"(b{25}){40}", b"((a{0}){999}){999}", b"(a{3,}){334}", b"#$~", b"a#$~",
    b"(ab)#$~", b"^", b"$", b"\\A", b"\\z", b"\\Z", b"\\b", b"\\B", b"\\C", b"\\d", b"\\D",
    b"\\s", b"\\S", b"\\w", b"\\W", b"\\n", b"\\r", b"\\a", b"\\v", b"\\Q", b"\\E", b"\\Qa+\\E",
    b"\\101", b"\\0", b"\\7", b"\\17", b"\\08", b"\\8", b"\\x61", b"\\x6", b"\\x", b"\\x{61}",
    b"\\x{}", b"\\x{0000000061}", b"\\x{e9}", b"\\x{FFFD}", b"\\x{D800}", b"\\x{110000}",
    b"\\x{F0000000061}", b"\\pL", b"\\q", b"\xC3\xA9", b"\xEF\xBF\xBD", b"\xC3", b"\xFF", b"-",
];

#[test]
fn generated_patterns_match_as_in_wings() {
    let mut rng = Rng::with_seed(0x5DEE_CE66);
    let lists: Vec<_> = (0..LISTS).map(|_| case(&mut rng)).collect();
    let (mut cases, mut excluded, mut unsupported) = (0, 0, 0);
    let mut differences = Vec::new();
    for ((patterns, paths), answers) in lists.iter().zip(go_answers(&lists)) {
        let ours = excludes(patterns);
        if ours.warnings().iter().any(|warning| {
            use PatternProblem::{TooLarge, UnicodeClass};
            matches!(warning.problem, TooLarge | UnicodeClass)
        }) {
            unsupported += 1;
            continue;
        }
        assert_eq!(answers.len(), paths.len());
        for (path, expected) in paths.iter().zip(answers) {
            cases += 1;
            excluded += usize::from(expected.is_some());
            if excluding_line(&ours, path) != expected {
                differences.push(format!(
                    "Go says {expected:?} to '{}' for '{}'",
                    path.escape_ascii(),
                    patterns.escape_ascii()
                ));
            }
        }
    }
    println!(
        "{cases} cases, {excluded} excluded; {unsupported} of {LISTS} lists have a pattern that is not supported"
    );
    assert!(unsupported < LISTS / 20);
    assert!(cases >= 5000 && excluded > cases / 10 && excluded < cases * 9 / 10);
    assert!(
        differences.is_empty(),
        "{} differences, such as\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

#[test]
fn rare_patterns_match_as_in_wings() {
    #[rustfmt::skip]
    let names: &[&[u8]] = &[
        b"a", b"b", b"7", b"\x07", b"a\x0Bb", b"a\tb", b"a+/q.x", b"z/a+/q.x", b"a/q.x",
        b"z/a/q.x", b"+/q.x", b"z/+/q.x", b"x\\\ny", b"x\\zy", b"x\n/y", b"x/\ny", b"bb",
        b"aab", b"#a", b"!a", b"\xFF", b"\xE2\x82", b"\xEF\xBF\xBD", b"(a)", b"a|b", b"temp",
        b"temp/a", b"z/temp/a/b",
    ];
    #[rustfmt::skip]
    let patterns: &[&[u8]] = &[
        b"+/*.x", b"a+/*.x", b"a/*.x", b"z/+/*.x", b"*\n!!a", b"*\n!#a", b"*\n!\\#a",
        b"*\n!\\!a", b" #a", b"!", b"*\n!", b"/", b"//", b"\\7", b"\\07", b"\\1", b"a\\sb",
        b"a[\\s]b", b"a\\Sb", b"x\\.y", b"x\\?y", b"x*y", b"x/**", b"x[^a]",
        b"((a{600}){0}){600}b", b"(a{600}){600}b", b"(a{2}){501}", b"(a{0,}){1000}b",
        b"\\x{FFFD}", b"\xEF\xBF\xBD\xEF\xBF\xBD", b"[\x80]", b"\\B\xEF\xBF\xBD", b"temp/",
        b"**/temp/**", b"/**/temp", b"a#$~b", b"a#$~#$~b", b"a\\Q\\E#$~b",
    ];
    let paths: Vec<_> = names.iter().map(|name| name.to_vec()).collect();
    let lists: Vec<_> = patterns.iter().map(|list| (list.to_vec(), paths.clone())).collect();
    for ((patterns, paths), answers) in lists.iter().zip(go_answers(&lists)) {
        let ours = excludes(patterns);
        for (path, expected) in paths.iter().zip(answers) {
            let shown = (patterns.escape_ascii(), path.escape_ascii());
            assert_eq!(excluding_line(&ours, path), expected, "'{}' and '{}'", shown.0, shown.1);
        }
    }
}

/// Returns the number of the line that excludes a path.
fn excluding_line(list: &Excludes, path: &[u8]) -> Option<usize> {
    let found = list.last_match(path, false).filter(|found| !found.is_negated);
    assert_eq!(list.is_excluded(path, false), found.is_some());
    found.map(|found| found.line)
}

/// Go names only a pattern that excludes. So each line is asked for by itself here.
#[test]
fn the_last_line_that_matches_decides() {
    let mut rng = Rng::with_seed(0x3C6E_F372);
    let (mut decided, mut negated) = (0, 0);
    for _ in 0..LISTS / 5 {
        let (patterns, paths) = case(&mut rng);
        let list = excludes(&patterns);
        let lines: Vec<_> = patterns.split(|&byte| byte == b'\n').collect();
        // The pattern `/` matches everything, so a negated line shows whether it matches.
        let alone = |line: &&[u8]| excludes(&[b"/\n", *line].concat());
        let alone: Vec<_> = lines.iter().map(alone).collect();
        for path in &paths {
            let last = |list: &Excludes| list.last_match(path, false);
            let matches = |list: &Excludes| last(list).is_some_and(|found| found.line == 2);
            let expected = alone.iter().rposition(matches).map(|index| index + 1);
            let found = last(&list);
            assert_eq!(found.as_ref().map(|found| found.line), expected);
            if let Some(found) = found {
                let line = lines[found.line - 1];
                assert_eq!(found.pattern, line.strip_suffix(b"\r").unwrap_or(line));
                let first = line.iter().find(|&&byte| byte != b' ');
                assert_eq!(found.is_negated, first == Some(&b'!'));
                decided += 1;
                negated += usize::from(found.is_negated);
            }
        }
    }
    assert!(decided > 1000 && negated > 100, "{decided} decided, {negated} negated");
}

#[test]
fn an_excluded_directory_is_skipped_only_if_everything_below_it_is_excluded() {
    let mut rng = Rng::with_seed(0xB504_F333);
    let lists: Vec<_> = (0..LISTS).map(|_| case(&mut rng)).collect();
    let mut left = 0;
    for (patterns, paths) in &lists {
        let list = excludes(patterns);
        let one_line = |path: &&Vec<u8>| !path.contains(&b'\n');
        for dir in paths.iter().filter(|dir| list.is_excluded(dir, true)) {
            if list.must_enter(dir) {
                continue;
            }
            left += 1;
            for rest in paths.iter().filter(one_line) {
                let path = [dir, rest.as_slice()].join(&b'/');
                let shown = (patterns.escape_ascii(), path.escape_ascii());
                assert!(list.is_excluded(&path, false), "{} and {}", shown.0, shown.1);
            }
        }
    }
    assert!(left > 500, "only {left} directories were skipped");
}

#[test]
fn documented_examples_match() {
    for text in [
        "*.log\ntemp/\ncache/**\nnode_modules/\n*.tmp\n",
        "*.log\r\ntemp/\r\ncache/**\r\nnode_modules/\r\n*.tmp\r\n",
    ] {
        let list = excludes(text.as_bytes());
        assert_eq!(list.warnings(), []);
        for (path, expected) in [
            ("latest.log", true),
            ("logs/old.log", true),
            ("latest.log.gz", false),
            // Not the directory itself, only its content.
            ("temp", false),
            ("temp/a", true),
            ("world/temp/a", true),
            ("cache", true),
            ("cache/a/b", true),
            ("world/cache/a", true),
            ("web/node_modules/a/b", true),
            ("a.tmp", true),
            ("world/level.dat", false),
        ] {
            assert_eq!(list.is_excluded(path.as_bytes(), false), expected, "{path}");
        }
    }
}

#[test]
fn files_below_an_excluded_directory_can_be_included_again() {
    let list = excludes(b"*\n!world\n");
    assert!(!list.is_excluded(b"world/level.dat", false));
    assert!(list.is_excluded(b"plugins", true));
    assert!(list.must_enter(b"plugins"));

    let list = excludes(b"!world\nplugins\nlogs/\na|b\n");
    assert!(!list.must_enter(b"plugins"));
    assert!(!list.must_enter(b"logs/old"));
    assert!(list.is_excluded(b"b", true) && list.must_enter(b"b"));
}

#[test]
fn suspicious_patterns_cause_warnings() {
    use PatternProblem::*;
    let text = "\u{FEFF}x\n(\n#?\n #a\nworld?\nworld (copy)\nworld\\region\n[!a]\n!\n/\n\\pL\n\\!a\n{a,b}\n[ab]\n\\?\n";
    let list = excludes(text.as_bytes());
    let found: Vec<_> = list.warnings().iter().map(|w| (w.line, w.problem)).collect();
    assert_eq!(
        found,
        [
            (1, ByteOrderMark),
            (2, NotARegexp),
            (4, IndentedComment),
            (5, LiteralQuestionMark),
            (6, RegexpOperator),
            (7, BackslashInName),
            (8, LiteralNegation),
            (9, Empty),
            (10, BareSlash),
            (11, UnicodeClass),
            (15, EscapedBackslash),
        ]
    );
}

#[test]
fn a_hostile_pattern_is_matched_in_milliseconds() {
    let path = b"a".repeat(4000);
    for rules in [Rules::Git, Rules::Wings] {
        let mut list = Excludes::new(rules);
        list.add(PatternOrigin::Caller, &[&b"a*".repeat(14), &b"b"[..]].concat()).unwrap();
        let start = Instant::now();
        assert!(!list.is_excluded(&path, false));
        let taken = start.elapsed();
        assert!(taken < Duration::from_millis(500), "{rules:?} took {taken:?}");
    }
}

/// A few patterns, and paths to test.
fn case(rng: &mut Rng) -> (Vec<u8>, Vec<Vec<u8>>) {
    let paths = generator::paths(rng, NAMES, PATHS);
    let mut patterns = Vec::new();
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
        patterns
            .extend(generator::pick(rng, &[b"", b"", b"", b"", b"/", b"/**", b" ", b"\r", b" \r"]));
        patterns.push(b'\n');
    }
    (patterns, paths)
}

fn excludes(patterns: &[u8]) -> Excludes {
    let mut excludes = Excludes::new(Rules::Wings);
    excludes.add(PatternOrigin::IgnoreFile, patterns).unwrap();
    excludes
}

/// Returns, for each path, the number of the line that excludes it.
fn go_answers(lists: &[(Vec<u8>, Vec<Vec<u8>>)]) -> Vec<Vec<Option<usize>>> {
    let mut process =
        Command::new(&*GO_PROGRAM).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input: String = lists
        .iter()
        .map(|(patterns, paths)| {
            let paths: Vec<_> =
                paths.iter().map(|path| format!("\"{}\"", BASE64.encode(path))).collect();
            let patterns = BASE64.encode(patterns);
            format!("{{\"patterns\":\"{patterns}\",\"paths\":[{}]}}\n", paths.join(","))
        })
        .collect();
    let mut stdin = process.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the Go program failed");
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), lists.len());
    let line = |number: &str| Some(number.parse().expect("a number")).filter(|&line| line > 0);
    answers.lines().map(|numbers| numbers.split(' ').map(line).collect()).collect()
}

/// Built once, because several tests use it at the same time.
static GO_PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go-gitignore");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-gitignore");
    let build = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .status();
    let status = build.expect("this test needs Go to be installed");
    assert!(status.success(), "go build failed");
    program
});
