//! Compares the values that the daemon and Wings read. A small Go program reads them with the YAML
//! module that Wings uses.

use std::{
    collections::BTreeMap,
    env,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use fastrand::Rng;
use serde_json::{Value, json};

use super::{Config, secret};

type Values = BTreeMap<String, Value>;

/// The keys that Wings and the daemon read.
const KEYS: [&str; 21] = [
    "token_id",
    "token",
    "remote",
    "allowed_origins",
    "api",
    "api.host",
    "api.port",
    "api.ssl",
    "api.ssl.enabled",
    "api.ssl.cert",
    "api.ssl.key",
    "system",
    "system.root_directory",
    "system.data",
    "system.backup_directory",
    "system.user",
    "system.user.uid",
    "system.user.gid",
    "system.backups",
    "system.backups.write_limit",
    "system.backups.compression_level",
];

/// Values of every kind, as they are written in the file.
const KINDS: [&str; 104] = [
    "",
    "~",
    "null",
    "Null",
    "NULL",
    "nUll",
    "# a comment",
    "true",
    "True",
    "TRUE",
    "tRue",
    "false",
    "yes",
    "Yes",
    "no",
    "NO",
    "on",
    "off",
    "y",
    "Y",
    "n",
    "N",
    "yES",
    "0",
    "1",
    "-1",
    "+1",
    "8080",
    "65535",
    "65536",
    "-0",
    "00",
    "007",
    "08",
    "0o17",
    "0x1F",
    "0X1f",
    "0b11",
    "-0b11",
    "0b2",
    "0b+1",
    ".9_8",
    ".9__8",
    "._9",
    ".9_",
    "0b-10",
    "-0b+1",
    "0x",
    "1_000",
    "_1",
    "1__0_",
    "0x_f",
    "0.5",
    "-0.5",
    "1.9",
    "2.",
    ".5",
    "-.5",
    "1e3",
    "1E+2",
    "1e-1",
    "1e999",
    "1e19",
    "1.5e3",
    ".inf",
    "-.inf",
    "+.INF",
    ".nan",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "2024-01-02",
    "2024-01-02T03:04:05Z",
    "12:30:00",
    "5m",
    "1h30m",
    "100ms",
    "10MiB",
    "''",
    "\"\"",
    "'0'",
    "\"8080\"",
    "'true'",
    "\"null\"",
    "'1.5'",
    "!!str 5",
    "!!str null",
    "!!int 5",
    "!!int '5'",
    "!!int x",
    "!!float 5",
    "!!bool yes",
    "!!bool 1",
    "!!null ''",
    "! 5",
    "!own 5",
    "[]",
    "[a, 1, yes, ~, '']",
    "[[a]]",
    "{}",
    "{a: b}",
];

/// Hosts, because most other values are not hosts.
const HOSTS: [&str; 14] = [
    "0.0.0.0",
    "127.0.0.1",
    "'::'",
    "'[::]'",
    "'[::1]'",
    "'[::1'",
    "'::1]'",
    "'[]'",
    "localhost",
    "node-1.example.com",
    "'[127.0.0.1]'",
    "127.0.0.1:80",
    "a b",
    "'*'",
];

/// Whole files.
const FILES: [&str; 16] = [
    "",
    "# only a comment\n",
    "---\ntoken: a\n...\n---\ntoken: b\n",
    "%YAML 1.1\n---\ntoken: a\n",
    "\u{feff}token: a\n",
    "token: a\r\napi:\r\n  port: 81\r\n",
    "unknown: [1, {a: b}, !!set {x}]\ntoken: a\nother: &x {y: *z}\n",
    "unknown: {a: 1, a: 2}\n5: x\n~: y\ntoken: a\n",
    "x: &x {data: /a, backup_directory: /b}\nsystem: {<<: *x, data: /c}\n",
    "x: &x {data: /a, backup_directory: /b}\nsystem: {data: /c, <<: *x}\n",
    "x: &x {data: /a}\ny: &y {data: /b, root_directory: /c}\nsystem: {<<: [*x, *y]}\n",
    "system: {<<: 5}\n",
    "system: {<<: [[]]}\n",
    "port: &p 81\nhost: &h 127.0.0.1\napi: {port: *p, host: *h}\n",
    "token: |\n  a\n  b\nremote: >-\n  c\n  d\n",
    "- token: a\n",
];

#[test]
fn every_kind_of_value_of_every_key_is_parsed_as_by_wings() {
    let mut cases = Vec::new();
    for key in KEYS {
        let hosts: &[&str] = if key == "api.host" { &HOSTS } else { &[] };
        cases.extend(KINDS.iter().chain(hosts).map(|value| (key, (*value).to_owned())));
    }
    compare(&cases);
}

#[test]
fn generated_values_are_parsed_as_by_wings() {
    let seed = number("WINGBACK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = number("WINGBACK_CASES").unwrap_or(10_000);
    eprintln!("{count} values of the seed {seed} (WINGBACK_SEED, WINGBACK_CASES)");
    let mut rng = Rng::with_seed(seed);
    let cases: Vec<_> =
        (0..count).map(|_| (KEYS[rng.usize(..KEYS.len())], value(&mut rng))).collect();
    compare(&cases);
}

#[test]
fn files_of_every_form_are_parsed_as_by_wings() {
    let files: Vec<String> = FILES.iter().map(|&file| file.to_owned()).collect();
    let (ours, base) = (files.iter().map(|file| read(file)), read("").unwrap());
    let answers = wings(&files.iter().map(|file| json!(file)).collect::<Vec<_>>());
    let defaults = &answers[0];
    for ((file, ours), theirs) in files.iter().zip(ours).zip(&answers) {
        let Ok(ours) = ours else {
            assert!(theirs["error"].is_string(), "only Wings reads {file:?}: {ours:?}");
            continue;
        };
        assert!(theirs["error"].is_null(), "Wings does not read {file:?}: {theirs}");
        for (key, value) in &ours {
            let are_defaults = theirs[key] == defaults[key] && *value == base[key];
            assert!(are_defaults || *value == theirs[key], "{key} of {file:?}: {value}, {theirs}");
        }
    }
}

#[test]
fn tokens_are_parsed_as_by_wings() {
    let mut rng = Rng::with_seed(7);
    let pieces = [
        "$WB_A", "${WB_A}", "${WB_B}", "$", "${", "}", "{", "WB_C", "a", "_", "1", "-", "file://",
        "ä",
    ];
    let texts: Vec<String> = (0..10_000)
        .map(|_| (0..rng.usize(..8)).map(|_| pieces[rng.usize(..pieces.len())]).collect())
        .collect();
    let answers = wings(&texts.iter().map(|text| json!({ "expand": text })).collect::<Vec<_>>());
    let mut replaced = 0;
    for (text, theirs) in texts.iter().zip(&answers) {
        let ours = secret::expand(text, |name| Ok(variable(name)));
        // Text that Wings drops silently is an error here.
        if let Ok(ours) = ours {
            assert_eq!(ours, theirs.as_str().unwrap(), "{text:?}");
            replaced += usize::from(ours != *text);
        }
    }
    assert!(replaced > 500, "{replaced}");
}

/// The variables that the Go program has.
fn variable(name: &str) -> Option<String> {
    match name {
        "WB_A" => Some("one".into()),
        "WB_B" => Some("$WB_A}".into()),
        _ => None,
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("it must be a number"))
}

/// A value of any kind that stays on its line.
fn value(rng: &mut Rng) -> String {
    const PIECES: [&str; 30] = [
        "0", "1", "7", "8", "9", "10", "_", ".", "e", "E", "+", "-", "x", "0x", "0b", "0o", "f",
        "inf", ".nan", "y", "yes", "no", "true", "off", "~", "null", "/a", "s", "65", "5e18",
    ];
    let text: String = (0..rng.usize(1..6)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect();
    match rng.u8(..12) {
        0 => format!("'{text}'"),
        1 => format!("\"{text}\""),
        2 => format!("!!str {text}"),
        3 => format!("!!int {text}"),
        4 => format!("!!float {text}"),
        5 => format!("!!bool {text}"),
        // A single hyphen is not a plain scalar in a list (YAML 1.2, 7.3.3), but Go's module accepts it.
        6 if text == "-" => "['-']".to_owned(),
        6 => format!("[{text}, '{text}']"),
        7 => format!("&anchor {text}"),
        _ => text,
    }
}

fn compare(cases: &[(&str, String)]) {
    let base = read("").unwrap();
    let files: Vec<_> = cases.iter().map(|(key, value)| file(key, value)).collect();
    let answers = wings(&files.iter().map(|file| json!(file)).collect::<Vec<_>>());
    let mut agreed = 0;
    for (((key, value), file), theirs) in cases.iter().zip(&files).zip(&answers) {
        let ours = read(file);
        let problem = differs(key, ours.as_ref(), theirs, &base);
        assert_eq!(problem, None, "{key}: {value}\ndaemon: {ours:?}\nWings: {theirs}");
        agreed += usize::from(ours.is_ok());
    }
    assert!(agreed * 5 > cases.len(), "too few of the values are good: {agreed}");
}

/// Returns how the daemon's value differs, apart from the differences that its documentation lists.
fn differs(
    key: &str,
    ours: Result<&Values, &String>,
    theirs: &Value,
    base: &Values,
) -> Option<&'static str> {
    let ours = match (ours, theirs["error"].is_string()) {
        (Ok(_), true) => return Some("Wings rejects it"),
        (Err(_), true) => return None,
        (Err(_), false) if is_useless(key, &theirs[key]) => return None,
        (Err(_), false) => return Some("the daemon rejects it"),
        (Ok(ours), false) => ours,
    };
    for (name, value) in ours {
        let is_meant = name == key || name.starts_with(&format!("{key}."));
        let theirs = &theirs[name];
        let agree = match &**name {
            _ if !is_meant => *value == base[name],
            // Null, and an empty block: zero in Go, the default here.
            _ if *value == base[name] && is_zero(theirs) => true,
            _ if *value == base[name] && name != key => true,
            // An IPv6 address needs no brackets here.
            "api.host" if theirs.is_null() => value.as_str().is_some_and(|host| host.contains(':')),
            "system.user.uid" | "system.user.gid" if value.is_null() => {
                theirs.as_i64().is_some_and(|id| id < 0)
            }
            _ => value == theirs,
        };
        if !agree {
            return Some("the values differ");
        }
    }
    None
}

/// Whether Wings reads this value but cannot use it.
fn is_useless(key: &str, value: &Value) -> bool {
    match key {
        "api.port" => !value.as_i64().is_some_and(|port| (0..=65535).contains(&port)),
        "api.host" => value.is_null(),
        // YAML 1.1 only: a dash is not an origin.
        "allowed_origins" => value.as_array().is_some_and(|all| all.contains(&json!("-"))),
        "system.user.uid" | "system.user.gid" => {
            value.as_i64().is_some_and(|id| id > i64::from(u32::MAX))
        }
        _ => false,
    }
}

fn is_zero(value: &Value) -> bool {
    [json!(""), json!(0), json!(false), json!([])].contains(value)
}

/// A file with a value of one key.
fn file(key: &str, value: &str) -> String {
    let keys: Vec<_> = key.split('.').collect();
    let lines = keys.iter().enumerate().map(|(depth, key)| {
        let value = if depth + 1 == keys.len() { value } else { "" };
        format!("{}{key}: {value}\n", "  ".repeat(depth))
    });
    lines.collect()
}

/// Returns the daemon's values, with the names that the Go program uses.
fn read(file: &str) -> Result<Values, String> {
    let config = Config::parse(file)?;
    let level = match config.level() {
        wingback::Level::None => "none",
        wingback::Level::Best => "best",
        _ => "fast",
    };
    let values = json!({
        "token_id": config.token_id,
        "token": config.token.0,
        "remote": config.remote,
        "allowed_origins": config.allowed_origins,
        "api.host": config.api.host.text(),
        "api.port": config.api.port,
        "api.ssl.enabled": config.api.ssl.enabled,
        "api.ssl.cert": config.api.ssl.cert,
        "api.ssl.key": config.api.ssl.key,
        "system.root_directory": config.root_directory(),
        "system.data": config.system.data,
        "system.backup_directory": config.system.backup_directory,
        "system.user.uid": config.system.user.uid,
        "system.user.gid": config.system.user.gid,
        "system.backups.write_limit": config.system.backups.write_limit,
        "system.backups.compression_level": level,
    });
    Ok(serde_json::from_value(values).unwrap())
}

/// Returns the answer of Wings to each question.
fn wings(questions: &[Value]) -> Vec<Value> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wings-config");
    let mut go = Command::new("go")
        .args(["run", "-mod=readonly", "."])
        .current_dir(program)
        .env("WB_A", variable("WB_A").unwrap())
        .env("WB_B", variable("WB_B").unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs Go to be installed");
    let mut stdin = go.stdin.take().unwrap();
    let input: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = go.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the Go program failed");
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    let answers: Vec<Value> = answers.map(Result::unwrap).collect();
    assert_eq!(answers.len(), questions.len());
    answers
}
