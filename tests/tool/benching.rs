//! Measurements by the program.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scene::{Run, Scene};

/// The command in a directory that has a file.
fn bench(scene: &Scene, arguments: &[&str]) -> Command {
    fs::write(scene.path("mine"), "content").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zaqar-sled"));
    command.arg("bench").args(arguments).current_dir(scene.path("")).env_remove("COLUMNS");
    command
}

fn names(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.path("")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn assert_nothing_is_left(scene: &Scene) {
    assert_eq!(names(scene), ["mine"]);
    assert_eq!(fs::read_to_string(scene.path("mine")).unwrap(), "content");
}

#[test]
fn every_measurement_has_figures_and_nothing_is_left() {
    let scene = Scene::new();
    let run = Run::of(&mut bench(&scene, &["--seconds", "1", "--threads", "3", "--body", "1KiB", "--json"]));
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
    assert_nothing_is_left(&scene);
    let report: Value = serde_json::from_str(&run.output).unwrap();
    assert_eq!([&report["seconds"], &report["threads"], &report["body_bytes"]], [&json!(1), &json!(3), &json!(1024)]);
    assert_eq!(report["directory"], json!(fs::canonicalize(scene.path("")).unwrap()));
    assert!(report["cores"].as_u64() > Some(0) && report["free_bytes"].as_u64() > Some(0), "{report}");
    let measured: Vec<_> = report["measurements"].as_array().unwrap().iter().map(kind).collect();
    let expected = [
        ("post-1", "buffered", 1, 1),
        ("post-10", "buffered", 1, 10),
        ("claim-delete-10", "buffered", 1, 10),
        ("cycle-10", "buffered", 1, 10),
        ("post-1-sync", "sync", 1, 1),
        ("post-1-sync-threads", "sync", 3, 1),
    ];
    assert_eq!(measured, expected);
}

/// What is measured, after a check of the figures.
fn kind(figures: &Value) -> (&str, &str, u64, u64) {
    let count = |field: &str| figures[field].as_u64().unwrap();
    let share = |field: &str| figures[field].as_f64().unwrap();
    for field in ["calls", "calls_per_s", "messages_per_s", "bare_calls", "bare_calls_per_s"] {
        assert!(count(field) > 0, "{field} in {figures}");
    }
    let batch = count("messages_per_call");
    // Both are rounded.
    assert!(count("messages_per_s").abs_diff(batch * count("calls_per_s")) <= batch, "{figures}");
    let latencies = ["median_s", "p99_s", "worst_s"].map(share);
    assert!(latencies.is_sorted() && latencies[0] > 0.0 && share("ratio") > 0.0, "{figures}");
    let text = |field: &str| figures[field].as_str().unwrap();
    (text("name"), text("durability"), count("threads"), batch)
}

#[test]
fn the_table_has_the_machine_and_a_row_for_each_measurement() {
    let scene = Scene::new();
    let run = Run::of(bench(&scene, &["--seconds", "1", "--threads", "64", "--dir", "."]).env("COLUMNS", "80"));
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
    assert_nothing_is_left(&scene);
    let lines: Vec<&str> = run.output.lines().collect();
    let begins = [
        "machine  ",
        "disk     ",
        "run      zaqar-sled",
        "",
        "call",
        "post 1 ",
        "post 10 ",
        "claim 10, delete ",
        "cycle of 10 ",
        "post 1, sync ",
        "post 1 by 64, sync ",
    ];
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{}", run.output);
    assert_eq!(lines.len(), begins.len(), "{}", run.output);
    assert_eq!(lines[4].split_whitespace().last(), Some("ratio"));
    for line in &lines[4..] {
        assert!(line.chars().count() <= 80, "{}", run.output);
        assert_eq!(line.chars().count(), lines[4].chars().count(), "{}", run.output);
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let scene = Scene::new();
    let run = |arguments: &[&str]| Run::of(&mut bench(&scene, arguments));
    run(&["--dir", "nowhere"]).assert_fails(1, &["nowhere", "No such file", "--dir"]);
    run(&["--dir", "mine"]).assert_fails(1, &["mine: not a directory"]);
    // It has no space at all.
    run(&["--dir", "/proc"]).assert_fails(1, &["/proc has 0 B of free space", "need up to", "MiB", "--dir"]);
    assert_nothing_is_left(&scene);
}

/// Nothing can be made at the end of a path that is too long, whoever asks.
#[test]
fn a_failure_leaves_nothing_whether_or_not_the_directory_could_be_made() {
    let scene = Scene::new();
    fs::create_dir(scene.path("deep")).unwrap();
    let forty = vec!["d".repeat(100); 40].join("/");
    let longer = format!("{forty}/and-more");
    let made = Command::new("mkdir").args(["-p", &longer]).current_dir(scene.path("deep")).status();
    assert!(made.unwrap().success());
    for (dir, says) in [(&forty, "creating the store's directory"), (&longer, "no directory can be made in")] {
        let run = Run::of(bench(&scene, &["--dir", dir]).current_dir(scene.path("deep")));
        run.assert_fails(1, &[says, "File name too long"]);
    }
    assert_eq!(fs::read_dir(scene.path("deep").join(&forty)).unwrap().count(), 1, "only and-more");
    assert_eq!(fs::read_dir(scene.path("deep").join(&longer)).unwrap().count(), 0);
}

#[test]
fn arguments_out_of_range_are_refused() {
    let scene = Scene::new();
    for arguments in [
        ["--seconds", "0"],
        ["--seconds", "601"],
        ["--body", "0"],
        ["--body", "17KiB"],
        ["--threads", "0"],
        ["--threads", "65"],
    ] {
        Run::of(&mut bench(&scene, &arguments)).assert_fails(2, &[arguments[0]]);
    }
    assert_nothing_is_left(&scene);
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let scene = Scene::new();
        let mut command = bench(&scene, &["--seconds", "600"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while names(&scene).len() == 1 {
            assert!(start.elapsed() < Duration::from_secs(120), "no directory is made");
            thread::sleep(Duration::from_millis(5));
        }
        stop(signal, &child);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), b"".as_slice()), "{errors}");
        assert!(errors.contains("stopped; nothing is left"), "{errors}");
        assert_nothing_is_left(&scene);
    }
}

fn stop(signal: &str, child: &Child) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
