//! The program `zaqar-sled work`, run as a user runs it: on files and streams, with failing commands, killed and
//! started again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the helpers of tests fail by panicking"
)]

#[path = "support/random.rs"]
mod random;
#[path = "support/variables.rs"]
mod variables;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::{Engine, MessageListOptions, Project};

use random::Random;
use variables::{KILLS, SEED};

#[test]
fn every_line_of_every_file_is_processed() {
    let dir = WorkDir::new();
    let files = [
        dir.numbers(2000),
        dir.file("unended", b"one\n\nthree"),
        dir.file("bytes", b"\xff\xfe two\r\n\0\n"),
        dir.file("empty", b""),
    ];
    let report = Report::of(dir.work(&["--workers", "4", "--complete"]).args(&files).output().unwrap());
    report.assert_success();
    for (file, lines) in files.iter().zip([2000, 3, 2, 0]) {
        let row = report.row(file);
        assert_eq!((row["posted"], row["processed"], row["waiting"]), (lines, lines, 0));
    }
    assert!(report.errors.ends_with("2005 words counted by this run\n"), "{report:?}");
    assert_eq!(report.output, "", "standard output is the command's");
}

#[test]
fn after_its_queue_was_removed_a_file_is_posted_from_its_start() {
    let dir = WorkDir::new();
    let file = dir.numbers(20);
    dir.run(&["--run", "cat >> ledger"], &file).assert_success();
    let engine = Engine::open(dir.path("store")).unwrap();
    let lines = engine.queue(Project::named("work").unwrap(), format!("lines:{}", file.display())).unwrap();
    assert!(lines.exists().unwrap());
    lines.delete().unwrap();
    engine.close().unwrap();
    drop((lines, engine));
    let report = dir.run(&["--run", "cat >> ledger"], &file);
    report.assert_success();
    assert_eq!(report.row(&file)["posted"], 20);
    assert_eq!(dir.ledger().len(), 40);
}

#[test]
fn the_report_is_the_last_of_the_output_as_json() {
    let dir = WorkDir::new();
    let files = [dir.numbers(20), dir.file("two", b"a\nb\n")];
    let script = "read line; echo $line; test $line != b";
    let report = Report::of(dir.work(&["--json", "--run", script, "--max-claims", "1"]).args(&files).output().unwrap());
    assert_eq!(report.code, Some(3), "{report:?}");
    let lines: Vec<&str> = report.output.lines().collect();
    let rows: Vec<serde_json::Value> = lines.iter().skip(22).map(|line| serde_json::from_str(line).unwrap()).collect();
    let counts: Vec<_> = rows.iter().map(|row| (row["posted"].as_u64(), row["dead_lettered"].as_u64())).collect();
    assert_eq!(counts, [(Some(20), Some(0)), (Some(2), Some(1))], "{report:?}");
    assert_eq!(rows[1]["file"], files[1].display().to_string());
    assert!(!report.errors.contains("dead-lettered  waiting"), "{report:?}");
}

#[test]
fn the_command_gets_each_line_with_a_newline() {
    let dir = WorkDir::new();
    let file = dir.file("lines", b"one\n\n\xff\x00two\r\nlast");
    let report = dir.run(&["--complete", "--run", "cat >> ledger"], &file);
    report.assert_success();
    let mut lines = dir.ledger();
    lines.sort();
    assert_eq!(lines, [b"".to_vec(), b"last".to_vec(), b"one".to_vec(), b"\xff\x00two\r".to_vec()]);
}

#[test]
fn lines_the_command_fails_on_are_redelivered_and_then_dead_lettered() {
    let dir = WorkDir::new();
    let file = dir.numbers(30);
    let script = "read line; test $((line % 10)) -ne 0";
    let report = dir.run(&["--run", script, "--max-claims", "3", "--claim", "10"], &file);
    assert_eq!(report.code, Some(3), "{report:?}");
    for line in [10, 20, 30] {
        let named = format!("{}: \"{line}\" is dead after 3 tries: exit status 1", file.display());
        assert!(report.errors.contains(&named), "{report:?}");
    }
    let row = report.row(&file);
    assert_eq!((row["posted"], row["processed"], row["dead-lettered"], row["waiting"]), (30, 27, 3, 0));
    // Lines that succeed are deleted before the claim is released, so only the failing lines are delivered again: twice
    // each.
    assert_eq!(row["redelivered"], 6);
    assert_eq!(dir.dead_letters(&file), [b"10".to_vec(), b"20".to_vec(), b"30".to_vec()]);
}

#[test]
fn a_line_the_command_fails_on_once_is_processed_by_the_next_try() {
    let dir = WorkDir::new();
    let file = dir.numbers(5);
    let report = dir.run(&["--run", "read line; mkdir tried-$line 2>/dev/null && exit 1; exit 0"], &file);
    report.assert_success();
    let row = report.row(&file);
    assert_eq!((row["processed"], row["redelivered"], row["dead-lettered"]), (5, 5, 0));
}

#[test]
fn a_command_need_not_read_its_line() {
    let dir = WorkDir::new();
    let file = dir.file("long", &vec![b'x'; 300_000]);
    let report = dir.run(&["--complete", "--run", "true"], &file);
    report.assert_success();
    assert_eq!(report.row(&file)["processed"], 1);
}

#[test]
fn a_last_line_without_a_newline_waits_until_it_is_ended() {
    let dir = WorkDir::new();
    let file = dir.file("log", b"a\nb");
    let report = dir.run(&["--run", "cat >> ledger"], &file);
    assert_eq!((report.code, dir.ledger()), (Some(4), vec![b"a".to_vec()]), "{report:?}");
    assert!(report.errors.contains("log: the last line has no newline and waits for it"), "{report:?}");
    fs::write(&file, b"a\nbc\n").unwrap();
    dir.run(&["--run", "cat >> ledger"], &file).assert_success();
    assert_eq!(dir.ledger(), [b"a".to_vec(), b"bc".to_vec()]);
}

#[test]
fn a_last_line_of_a_complete_file_is_a_line_and_may_not_grow() {
    let dir = WorkDir::new();
    let file = dir.file("log", b"a\nb");
    dir.run(&["--complete", "--run", "cat >> ledger"], &file).assert_success();
    assert_eq!(dir.ledger().len(), 2);
    dir.run(&[], &file).assert_success();
    fs::write(&file, b"a\nbc\n").unwrap();
    let report = dir.run(&["--run", "cat >> ledger"], &file);
    assert_eq!((report.code, dir.ledger().len()), (Some(1), 2), "{report:?}");
    assert!(report.errors.contains("its line 2 was processed without a newline, and has grown"), "{report:?}");
    fs::write(&file, b"a\nb\nc\n").unwrap();
    dir.run(&["--run", "cat >> ledger"], &file).assert_success();
    assert_eq!(dir.ledger().last().unwrap(), b"c");
}

#[test]
fn a_signal_stops_the_run_after_the_running_commands_and_the_next_run_continues() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let dir = WorkDir::new();
        let file = dir.numbers(50);
        // The first command waits for the file `go`; the others are quick.
        let script = "read n; echo $n >> started; while ! [ -e go ]; do sleep 0.01; done; echo $n >> ledger";
        let child = dir.work(&["--workers", "1", "--run", script, "--ttl", "3600"]).arg(&file).spawn().unwrap();
        dir.wait_for("started");
        send(signal, child.id());
        dir.file("go", b"");
        let report = Report::of(child.wait_with_output().unwrap());
        assert_eq!(report.code, Some(code), "{report:?}");
        let row = report.row(&file);
        let done = dir.ledger().len() as u64;
        assert_eq!((row["processed"], row["waiting"]), (done, row["posted"] - done), "{report:?}");
        assert!((1..50).contains(&done), "{report:?}");
        let report = dir.run(&["--run", "cat >> ledger", "--ttl", "3600"], &file);
        report.assert_success();
        assert_eq!((report.row(&file)["redelivered"], dir.ledger().len()), (0, 50), "{report:?}");
    }
}

#[test]
fn a_second_signal_kills_the_commands_and_gives_their_lines_back() {
    let dir = WorkDir::new();
    let file = dir.numbers(3);
    // A grandchild is killed too: it would hold the pipes of the output open, and the test would not end.
    let script = "touch started; (sleep 600; true)";
    let mut child = dir.work(&["--run", script, "--workers", "1", "--ttl", "3600"]).arg(&file).spawn().unwrap();
    dir.wait_for("started");
    send("TERM", child.id());
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("once more kills them") {
        assert_ne!(errors.read_line(&mut said).unwrap(), 0, "{said}");
    }
    send("TERM", child.id());
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{said}");
    assert!(said.contains("stopped; 3 posted lines wait"), "{said}");
    let report = dir.run(&["--run", "cat >> ledger", "--ttl", "3600"], &file);
    report.assert_success();
    assert_eq!((report.row(&file)["redelivered"], dir.ledger().len()), (1, 3), "{report:?}");
}

#[test]
fn the_lines_of_a_killed_run_are_delivered_at_once_when_its_commands_are_dead_and_not_before() {
    let dir = WorkDir::new();
    let file = dir.numbers(2);
    let script = "echo $$ > pid.new; mv pid.new started; exec sleep 600 >/dev/null 2>&1";
    let mut child = dir.work(&["--run", script, "--workers", "1", "--ttl", "3600"]).arg(&file).spawn().unwrap();
    dir.wait_for("started");
    let command: u32 = fs::read_to_string(dir.path("started")).unwrap().trim().parse().unwrap();
    kill(&mut child);

    // The command lives on, so its line stays claimed; the other one is processed.
    let mut second = dir.work(&["--run", "cat >> ledger", "--ttl", "3600"]).arg(&file).spawn().unwrap();
    dir.wait_for_ledger(1);
    let mut errors = String::new();
    send("TERM", second.id());
    second.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    second.wait().unwrap();
    assert!(errors.contains("a command of an earlier run still runs"), "{errors}");
    assert_eq!(dir.ledger().len(), 1);

    send("KILL", command);
    while Path::new(&format!("/proc/{command}/fd")).read_dir().is_ok_and(|mut open| open.next().is_some()) {
        thread::yield_now();
    }
    let report = dir.run(&["--run", "cat >> ledger", "--ttl", "3600"], &file);
    report.assert_success();
    assert_eq!(dir.ledger().len(), 2);
}

#[test]
fn a_claim_is_renewed_while_its_command_runs_on() {
    let dir = WorkDir::new();
    let file = dir.numbers(1);
    let report = dir.run(&["--run", "sleep 3", "--ttl", "1", "--workers", "2"], &file);
    report.assert_success();
    assert_eq!((report.row(&file)["processed"], report.row(&file)["redelivered"]), (1, 0));
}

#[test]
fn lines_of_many_mebibytes_are_fine() {
    let dir = WorkDir::new();
    let mut bytes = vec![b'x'; 20 << 20];
    bytes.push(b'\n');
    bytes.extend(vec![b'y'; 3 << 20]);
    let file = dir.file("long", &bytes);
    let report = dir.run(&["--complete", "--run", "wc -c >> ledger"], &file);
    report.assert_success();
    let mut sizes = dir.ledger();
    sizes.sort();
    assert_eq!(sizes, [b"20971521".to_vec(), b"3145729".to_vec()]);
}

#[test]
fn a_line_over_the_limit_is_named_and_the_lines_before_it_are_processed() {
    let dir = WorkDir::new();
    let mut bytes = b"short\n".to_vec();
    bytes.extend(vec![b'x'; (64 << 20) + 1]);
    let file = dir.file("too-long", &bytes);
    let report = dir.run(&["--batch", "1", "--complete"], &file);
    assert_eq!(report.code, Some(1), "{report:?}");
    assert!(report.errors.contains("line 2 is over 67108864 bytes"), "{report:?}");
    assert_eq!(report.row(&file)["processed"], 1);
}

#[test]
fn a_second_run_finds_nothing_left_to_do() {
    let dir = WorkDir::new();
    let file = dir.numbers(250);
    dir.run(&[], &file).assert_success();
    let report = dir.run(&[], &file);
    report.assert_success();
    let row = report.row(&file);
    assert_eq!((row["posted"], row["processed"], row["waiting"]), (250, 250, 0));
    assert_eq!(report.this_run(&file), (0, 0));
    assert!(report.errors.contains("opened after a clean close"), "{report:?}");
}

#[test]
fn of_a_file_that_has_grown_only_the_new_lines_are_posted() {
    let dir = WorkDir::new();
    let file = dir.file("log", b"one\ntwo\n");
    dir.run(&["--run", "cat >> ledger"], &file).assert_success();
    fs::write(&file, b"one\ntwo\nthree\n").unwrap();
    let report = dir.run(&["--run", "cat >> ledger"], &file);
    report.assert_success();
    assert_eq!(report.this_run(&file), (1, 1));
    assert_eq!(report.row(&file)["posted"], 3);
    assert_eq!(dir.ledger().len(), 3);
}

#[test]
fn a_changed_file_is_refused_and_the_others_are_processed() {
    let dir = WorkDir::new();
    let (changed, cut, other) = (dir.file("changed", b"one\n"), dir.file("cut", b"1\n2\n"), dir.numbers(3));
    Report::of(dir.work(&[]).args([&changed, &cut]).output().unwrap()).assert_success();
    fs::write(&changed, b"ONE\ntwo\n").unwrap();
    fs::write(&cut, b"1\n").unwrap();
    let report = Report::of(dir.work(&[]).args([&changed, &cut, &other]).output().unwrap());
    assert_eq!(report.code, Some(1), "{report:?}");
    for (file, bytes) in [(&changed, 4), (&cut, 4)] {
        let cause = format!("{}: its first {bytes} bytes are not those", file.display());
        assert!(report.errors.contains(&cause), "{report:?}");
    }
    assert_eq!(report.row(&other)["processed"], 3);
    assert_eq!(report.row(&changed)["posted"], 1);
}

#[test]
fn a_file_named_twice_is_posted_once() {
    let dir = WorkDir::new();
    let file = dir.numbers(10);
    let report = Report::of(dir.work(&[]).arg(&file).arg("./numbers").output().unwrap());
    report.assert_success();
    assert_eq!(report.row(&file)["posted"], 10);
    assert_eq!(report.table().count(), 3, "{report:?}");
}

#[test]
fn standard_input_is_a_source_too() {
    for arguments in [[].as_slice(), &["-"]] {
        let dir = WorkDir::new();
        let mut child = dir.work(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"one\ntwo\nthree").unwrap();
        let report = Report::of(child.wait_with_output().unwrap());
        report.assert_success();
        assert_eq!(report.row("-")["processed"], 3);
    }
}

#[test]
fn lines_of_a_stream_are_processed_before_it_ends() {
    let dir = WorkDir::new();
    let (child, mut stdin) = dir.stream(&["--run", "cat >> ledger"]);
    stdin.write_all(b"one\ntwo\nthr").unwrap();
    dir.wait_for_ledger(2);
    stdin.write_all(b"ee\n").unwrap();
    dir.wait_for_ledger(3);
    drop(stdin);
    Report::of(child.wait_with_output().unwrap()).assert_success();
}

#[test]
fn a_stream_that_starts_again_after_a_kill_continues_at_its_position() {
    let dir = WorkDir::new();
    let lines = numbers(1000);
    let (first, second) = lines.split_at(lines.find("501\n").unwrap());
    let (mut child, mut stdin) = dir.stream(RUN_LEDGER);
    stdin.write_all(first.as_bytes()).unwrap();
    dir.wait_for_ledger(500);
    kill(&mut child);

    let (child, mut stdin) = dir.stream(RUN_LEDGER);
    stdin.write_all(first.as_bytes()).unwrap();
    stdin.write_all(second.as_bytes()).unwrap();
    drop(stdin);
    let report = Report::of(child.wait_with_output().unwrap());
    report.assert_success();
    assert_eq!((report.row("-")["posted"], report.row("-")["processed"]), (1000, 1000));
    assert_eq!(report.this_run("-").0, 500);
    assert_eq!(dir.missing_from_ledger(lines.lines()), [""; 0]);
}

#[test]
fn a_stream_that_is_another_one_is_refused() {
    let dir = WorkDir::new();
    for (stream, code) in [("one\ntwo\n", 0), ("one\nTWO\nthree\n", 1), ("one\n", 1)] {
        let (child, mut stdin) = dir.stream(&[]);
        stdin.write_all(stream.as_bytes()).unwrap();
        drop(stdin);
        let report = Report::of(child.wait_with_output().unwrap());
        assert_eq!(report.code, Some(code), "{report:?}");
        assert_eq!(report.row("-")["posted"], 2);
    }
}

#[test]
fn an_unreadable_file_is_reported_before_any_work() {
    let dir = WorkDir::new();
    let there = dir.numbers(1);
    for (name, cause) in [("nowhere", "nowhere: No such file"), (".", ".: is a directory")] {
        let report = Report::of(dir.work(&[]).arg(&there).arg(name).output().unwrap());
        assert_eq!(report.code, Some(1), "{report:?}");
        assert!(report.errors.contains(cause), "{report:?}");
        assert!(!dir.path("store").exists());
    }
}

#[test]
fn a_store_that_cannot_be_made_is_told() {
    let dir = WorkDir::new();
    let file = dir.file("store", b"not a directory\n");
    let report = dir.run(&[], &file);
    assert_eq!(report.code, Some(1), "{report:?}");
    assert!(report.errors.contains("the store store: "), "{report:?}");
}

#[test]
fn a_second_program_on_the_same_store_is_refused_and_the_first_continues() {
    let dir = WorkDir::new();
    let file = dir.numbers(1);
    let (mut child, stdin) = dir.stream(&[]);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut opened = String::new();
    errors.read_line(&mut opened).unwrap();
    assert!(opened.contains("made a new store"), "{opened}");

    let report = dir.run(&[], &file);
    assert_eq!(report.code, Some(6), "{report:?}");
    assert!(report.errors.contains("the store store is in use by process"), "{report:?}");

    drop(stdin);
    errors.read_to_string(&mut opened).unwrap();
    Report::of(child.wait_with_output().unwrap()).assert_success();
}

#[test]
fn arguments_out_of_range_are_refused() {
    let dir = WorkDir::new();
    for argument in ["--workers", "--batch", "--claim", "--ttl", "--max-claims"] {
        let report = Report::of(dir.work(&[argument, "0"]).output().unwrap());
        assert_eq!(report.code, Some(2), "{report:?}");
    }
}

#[test]
fn killed_anywhere_it_ends_with_every_line_processed() {
    let dice = Dice::new();
    let dir = WorkDir::new();
    let file = dir.numbers(600);
    dir.kill_often(&dice, RUN_LEDGER, &file);
    let report = dir.run(RUN_LEDGER, &file);
    report.assert_success();
    let row = report.row(&file);
    assert_eq!((row["posted"], row["processed"], row["waiting"]), (600, 600, 0));
    let numbers = fs::read_to_string(&file).unwrap();
    assert_eq!(dir.missing_from_ledger(numbers.lines()), [""; 0]);
}

#[test]
fn killed_anywhere_it_posts_no_line_twice_and_leaves_none_out() {
    let dice = Dice::new();
    for durability in ["buffered", "sync"] {
        let dir = WorkDir::new();
        let file = dir.numbers(600);
        // Every line ends as a dead letter, and dead letters can be counted: a line that was posted twice is there
        // twice.
        let arguments =
            ["--run", "false", "--max-claims", "1", "--ttl", "1", "--batch", "7", "--durability", durability];
        dir.kill_often(&dice, &arguments, &file);
        let report = dir.run(&arguments, &file);
        assert_eq!(report.code, Some(3), "{report:?}");
        assert_eq!((report.row(&file)["posted"], report.row(&file)["dead-lettered"]), (600, 600));
        let mut dead_letters: Vec<u32> =
            dir.dead_letters(&file).iter().map(|line| String::from_utf8_lossy(line).parse().unwrap()).collect();
        dead_letters.sort_unstable();
        assert_eq!(dead_letters, (1..=600).collect::<Vec<u32>>());
    }
}

#[test]
fn killed_while_it_counts_words_it_continues_at_once() {
    let dice = Dice::new();
    let dir = WorkDir::new();
    let file = dir.numbers(200_000);
    // An hour: the test would not end if claims of killed runs were waited for.
    let arguments = ["--ttl", "3600", "--durability", "buffered"];
    dir.kill_often(&dice, &arguments, &file);
    let report = dir.run(&arguments, &file);
    report.assert_success();
    let row = report.row(&file);
    assert_eq!((row["posted"], row["processed"], row["waiting"]), (200_000, 200_000, 0));
}

/// Appends each line to the file `ledger`; claims of killed runs end soon, and no line is given up for them.
const RUN_LEDGER: &[&str] = &["--run", "cat >> ledger", "--ttl", "1", "--max-claims", "1000000", "--batch", "7"];

/// A directory the program runs in, with its store in `store`.
struct WorkDir(tempfile::TempDir);

impl WorkDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A file with the numbers from 1 to `last`, one a line.
    fn numbers(&self, last: u32) -> PathBuf {
        self.file("numbers", numbers(last).as_bytes())
    }

    fn work(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zaqar-sled"));
        command.current_dir(self.0.path()).args(["work", "--store", "store"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], file: &Path) -> Report {
        Report::of(self.work(arguments).arg(file).output().unwrap())
    }

    /// Starts the program on standard input, which it waits for.
    fn stream(&self, arguments: &[&str]) -> (Child, ChildStdin) {
        let mut child = self.work(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (child, stdin)
    }

    /// Starts the program again and again and kills it at random moments: half of them from its start on, half from
    /// when its store is open.
    fn kill_often(&self, dice: &Dice, arguments: &[&str], file: &Path) {
        let (mut at_work, mut rebuilt, mut random) = (0, 0, Random::new(dice.seed));
        for kill_number in 0..dice.kills {
            let mut child = self.work(arguments).arg(file).spawn().unwrap();
            let mut errors = BufReader::new(child.stderr.take().unwrap());
            let mut said = String::new();
            if kill_number % 2 == 1 {
                errors.read_line(&mut said).unwrap();
            }
            thread::sleep(Duration::from_micros(random.below(150_000)));
            at_work += u32::from(child.try_wait().unwrap().is_none());
            kill(&mut child);
            errors.read_to_string(&mut said).unwrap();
            rebuilt += u32::from(said.contains("rebuilt from snapshot and journal"));
        }
        println!("{} runs, {at_work} killed at work; {rebuilt} found what a killed one had left", dice.kills);
    }

    fn ledger(&self) -> Vec<Vec<u8>> {
        let bytes = fs::read(self.path("ledger")).unwrap_or_default();
        let ended = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if bytes.is_empty() { Vec::new() } else { ended.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect() }
    }

    fn wait_for_ledger(&self, lines: usize) {
        let start = Instant::now();
        while self.ledger().len() < lines {
            assert!(start.elapsed() < Duration::from_secs(120), "{} of {lines} lines", self.ledger().len());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_for(&self, name: &str) {
        let start = Instant::now();
        while !self.path(name).exists() {
            assert!(start.elapsed() < Duration::from_secs(120), "{name} does not come");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn missing_from_ledger<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let ledger: std::collections::BTreeSet<Vec<u8>> = self.ledger().into_iter().collect();
        lines.filter(|line| !ledger.contains(line.as_bytes())).collect()
    }

    /// The bodies of the file's dead letters, sorted.
    fn dead_letters(&self, file: &Path) -> Vec<Vec<u8>> {
        let engine = Engine::open(self.path("store")).unwrap();
        assert!(engine.verify().unwrap().is_sound());
        let dead = engine.queue(Project::named("work").unwrap(), format!("dead:{}", file.display())).unwrap();
        let dead_letters =
            dead.iter(MessageListOptions::new()).map(|message| message.unwrap().body().as_bytes().to_vec());
        let mut dead_letters: Vec<Vec<u8>> = dead_letters.collect();
        dead_letters.sort();
        dead_letters
    }
}

fn numbers(last: u32) -> String {
    let lines: Vec<String> = (1..=last).map(|number| number.to_string()).collect();
    lines.join("\n") + "\n"
}

fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

fn kill(child: &mut Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

/// The output of a run.
#[derive(Debug)]
struct Report {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Report {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
    }

    #[track_caller]
    fn assert_success(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }

    /// The lines from the table's head on, without messages.
    fn table(&self) -> impl Iterator<Item = &str> {
        let lines = self.errors.lines().skip_while(|line| !line.starts_with("file "));
        lines.filter(|line| !line.starts_with("zaqar-sled: "))
    }

    /// The cells of a file's row, in order.
    fn cells(&self, file: impl AsRef<Path>) -> Vec<u64> {
        let name = file.as_ref().display().to_string();
        let row = self.table().find_map(|line| line.strip_prefix(&name).filter(|rest| rest.starts_with(' ')));
        let row = row.unwrap_or_else(|| panic!("no row of {name}: {self:?}"));
        row.split_whitespace().map(|cell| cell.trim_start_matches('+').parse().unwrap()).collect()
    }

    /// The cells of a file's row by the names of their columns.
    fn row(&self, file: impl AsRef<Path>) -> BTreeMap<&str, u64> {
        let names = self.table().next().unwrap().split_whitespace().skip(1);
        names.zip(self.cells(file)).collect()
    }

    /// How many lines this run has posted and processed.
    fn this_run(&self, file: impl AsRef<Path>) -> (u64, u64) {
        let cells = self.cells(file);
        (cells[1], cells[3])
    }
}

/// Random moments for kills. `ZAQAR_SEED` repeats those of another run, `ZAQAR_KILLS` sets their number.
struct Dice {
    seed: u64,
    kills: u64,
}

impl Dice {
    fn new() -> Self {
        let seed = SEED.or_arbitrary();
        println!("ZAQAR_SEED={seed}");
        Self { seed, kills: KILLS.or(12) }
    }
}
