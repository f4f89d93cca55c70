//! The committed header matches the sources, and every compiler accepts it.

mod common;

use std::{fs, path::Path, process::Command};

use common::{HEADER, ok, root};

/// Generates the header from the sources.
fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::generate_with_config(root, config).unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).unwrap()
}

/// Rewrites the header if `WINGBACK_BLESS` is set.
#[test]
fn the_header_matches_the_sources() {
    let header = generated();
    if std::env::var_os("WINGBACK_BLESS").is_some() {
        fs::write(HEADER, &header).unwrap();
    }
    let committed = fs::read_to_string(HEADER).unwrap_or_default();
    assert!(
        header == committed,
        "include/wingback.h does not match ffi/src; \
         `WINGBACK_BLESS=1 cargo test -p wingback-ffi --test header` updates it"
    );
}

#[test]
fn every_compiler_accepts_the_header_twice() {
    let dir = tempfile::tempdir().unwrap();
    let twice = "#include <wingback.h>\n#include <wingback.h>\nint main(void) { return 0; }\n";
    for (compilers, language, standard) in
        [(["gcc", "clang"], "c", "c99"), (["g++", "clang++"], "c++", "c++17")]
    {
        let source = dir.path().join("twice").with_extension(language);
        fs::write(&source, twice).unwrap();
        for compiler in compilers {
            ok(Command::new(compiler)
                .args(["-x", language, &format!("-std={standard}")])
                .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
                .arg(root().join("include"))
                .arg(&source));
        }
    }
}

/// The header's first comment has the rules for the other parameters.
#[test]
fn each_comment_names_the_parameters_of_its_function() {
    let header = generated();
    let functions = header.split_once("extern \"C\" {").unwrap().1;
    let mut checked = 0;
    for function in functions.split("\n\n").filter(|function| function.starts_with("//")) {
        let (comment, declaration): (Vec<_>, Vec<_>) =
            function.lines().partition(|line| line.starts_with("//"));
        let (comment, declaration) = (comment.join(" "), declaration.join(" "));
        let parameters = declaration.split_once('(').unwrap().1.trim_end_matches(");");
        for (index, parameter) in parameters.split(',').enumerate() {
            let name = parameter.rsplit([' ', '*']).next().unwrap();
            let is_object = index == 0 && parameter.contains("struct") && parameter.contains('*');
            if !is_object && !parameter.contains("**") && name != "void" {
                assert!(comment.contains(&format!("`{name}`")), "{declaration} {comment}");
                checked += 1;
            }
        }
    }
    assert!(checked > 90, "{checked}");
}

/// The number is in the sources, in the soname and in the settings of `cargo cinstall`.
#[test]
fn the_abi_number_is_the_same_everywhere() {
    let read = |name: &str| fs::read_to_string(root().join("ffi").join(name)).unwrap();
    let number = |text: &str, before: &str| {
        let digits = text.split_once(before).unwrap().1;
        digits.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    let abi = number(&fs::read_to_string(HEADER).unwrap(), "#define WINGBACK_ABI_VERSION ");
    assert!(!abi.is_empty());
    assert_eq!(number(&read("build.rs"), "const ABI: u32 = "), abi);
    let manifest = read("Cargo.toml");
    let capi = manifest.split_once("[package.metadata.capi.library]").unwrap().1;
    assert_eq!(number(capi, "version = \""), abi);
    assert_eq!(number(&read("install.sh"), "abi="), abi);
}
