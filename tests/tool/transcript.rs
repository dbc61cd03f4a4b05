//! The page `docs::tool`: its transcripts are run, and its table of exit codes is compared.
//!
//! A command is a line that begins with `$ `; the lines up to the next command are its output. Ids, times, sizes and the
//! numbers of processes are compared by their form.

use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../src/docs/tool.md");

#[test]
fn the_page_of_the_program_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands();
    assert!(commands.len() > 30, "{commands:?}");
    let mut wrong = Vec::new();
    for (command, expected) in commands {
        let output = run(folder.path(), command);
        if masked(&output) != masked(&expected) {
            wrong.push(format!("$ {command}\n{output}instead of\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_has_the_exit_codes_of_the_help() {
    let help = Command::new(env!("CARGO_BIN_EXE_zaqar-sled")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, table) = help.split_once("Exit codes:\n").unwrap();
    let codes: Vec<(&str, &str)> = table.lines().map(|line| line.trim().split_once(' ').unwrap()).collect();
    let rows: Vec<String> = codes.iter().map(|(code, meaning)| format!("| {code} | {} |", meaning.trim())).collect();
    let (_, page) = PAGE.split_once("| Code | Meaning |\n|---|---|\n").unwrap();
    assert_eq!(page.lines().take_while(|line| line.starts_with('|')).collect::<Vec<_>>(), rows);
    assert!(codes.len() > 8, "{codes:?}");
}

#[test]
fn the_page_lists_every_command() {
    let help = Command::new(env!("CARGO_BIN_EXE_zaqar-sled")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| line.starts_with("  ")).map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.flatten().filter(|name| *name != "help").collect();
    assert!(names.len() > 10, "{help}");
    for name in names {
        let is_in_table = |line: &str| line.starts_with("| `") && line.contains(&format!("`{name}`"));
        assert!(PAGE.lines().any(is_in_table), "{name} is not in the page's table");
    }
}

/// The page's commands, each with its output.
fn commands() -> Vec<(&'static str, String)> {
    let mut commands: Vec<(&str, String)> = Vec::new();
    let mut is_transcript = false;
    for line in PAGE.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => is_transcript = line == "```console",
            _ if !is_transcript => {}
            Some(command) => commands.push((command, String::new())),
            None => commands.last_mut().unwrap().1.extend([line, "\n"]),
        }
    }
    commands
}

fn run(folder: &Path, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_zaqar-sled")).parent().unwrap();
    let script = format!("exec 2>&1; PATH='{}':$PATH; {command}", program.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder).stdin(Stdio::null()).env("COLUMNS", "80");
    let output = shell.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The text with everything replaced that differs from run to run.
fn masked(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let is_inner = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '.' | '_');
        let plain = line.chars().filter(|c| *c != '"').map(|c| if is_inner(c) { c } else { ' ' });
        let plain: String = plain.collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        let near = |at: usize| words.get(at).copied().unwrap_or("");
        let masked = words.iter().enumerate().map(|(at, word)| {
            // A field of JSON.
            let (key, value) =
                word.split_once(':').filter(|(key, _)| key.starts_with(char::is_alphabetic)).unwrap_or(("", word));
            let before = if key.is_empty() { near(at.wrapping_sub(1)) } else { key };
            format!("{key}:{}", mask(before, value, near(at + 1)))
        });
        let mut masked: Vec<String> = masked.collect();
        // `1m 5s` and `5s` are both a time.
        masked.dedup_by(|one, other| one == other && one.ends_with(":TIME"));
        masked.join(" ")
    };
    text.lines().map(line).collect()
}

fn mask<'a>(before: &str, word: &'a str, after: &str) -> &'a str {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_time = |text: &str| {
        let number = text.trim_end_matches(char::is_alphabetic);
        is_number(number) && ["s", "m", "h"].contains(&&text[number.len()..])
    };
    match word {
        _ if word.len() == 32 && is_hex(word) => "ID",
        _ if word.len() == 36 && is_hex(word) => "CLAIM",
        _ if word.len() == 20 && word.ends_with('Z') && word.contains('T') => "INSTANT",
        _ if is_time(word) => "TIME",
        _ if is_number(word) && ["B", "KiB", "MiB"].contains(&after) => "SIZE",
        "B" | "KiB" | "MiB" if is_number(before) => "UNIT",
        _ if is_number(word) && (["process", "change", "byte"].contains(&before) || before.ends_with("_s")) => "NUMBER",
        _ => word,
    }
}

#[test]
fn only_the_form_of_ids_times_and_sizes_is_compared() {
    let one = "0000010000000001000001000000000a  free  3s  1.5 MiB  in use by process 12 (x) 2026-11-27T15:00:00Z";
    let other = "0000010000000001000001000000000b free 5m 7s 12 B in use by process 9999 (x) 2027-01-01T00:00:00Z";
    assert_eq!(masked(one), masked(other));
    assert_ne!(masked(one), masked(&one.replace("free", "claimed")));
    assert_ne!(masked("free 1"), masked("free 2"));
    assert_eq!(
        masked(r#"{"age_s":1,"created":"2026-11-27T15:00:00Z"}"#),
        masked(r#"{"age_s":9,"created":"2027-11-27T15:00:00Z"}"#)
    );
    assert_ne!(masked(r#"{"free":1}"#), masked(r#"{"free":2}"#));
    assert_ne!(masked("a\nb"), masked("a"));
}
