//! What a package installs: completions and manual pages.

use std::fs;
use std::process::Command;

use crate::scene::{Run, Scene};

const COMMANDS: [&str; 15] = [
    "work",
    "ls",
    "stat",
    "peek",
    "claims",
    "post",
    "get",
    "purge",
    "rm",
    "pools",
    "verify",
    "salvage",
    "bench",
    "completions",
    "man",
];

fn program(arguments: &str) -> Run {
    Run::of(Command::new(env!("CARGO_BIN_EXE_zaqar-sled")).args(arguments.split(' ')))
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = program(&format!("completions {shell}"));
        assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
        for command in COMMANDS {
            assert!(run.output.contains(command), "{command} is not completed in {shell}");
        }
    }
    assert_eq!(program("completions tcsh").code, Some(2));
}

#[test]
fn every_command_has_a_manual_page_with_the_exit_codes() {
    let scene = Scene::new();
    let pages = scene.path("pages");
    assert_eq!(program(&format!("man --out {}", pages.display())).code, Some(0));
    for command in COMMANDS {
        let page = fs::read_to_string(pages.join(format!("zaqar-sled-{command}.1"))).unwrap();
        assert!(page.contains("Exit codes") && page.contains(".SH OPTIONS"), "{page}");
    }
    assert!(program("man").output.contains(".SH SUBCOMMANDS"));
    fs::write(scene.path("file"), "").unwrap();
    program(&format!("man --out {}", scene.path("file").display())).assert_fails(1, &["file: "]);
}
