//! Exports that are not imported, and directories that take none.

use zaqar_sled::disk::Disk;
use zaqar_sled::{Config, Error, ExportFault, ExtendedDriver, Limits, Metadata, NewMessage, Project, ProjectQuota};

use crate::scene::{COPY, Scene, behind_the_first, exported, shop_queue};
use crate::support::{CLIENT, MINUTE};

/// The line and the fault for which an export is refused. After that there is no store.
fn refused(scene: &Scene, lines: impl AsRef<[u8]>) -> (u64, ExportFault) {
    let error = scene.try_import(lines.as_ref()).unwrap_err();
    assert!(error.is_invalid(), "{error}");
    let left: Vec<_> = scene.disk.list_all().into_iter().filter(|path| path.starts_with(COPY)).collect();
    assert!(left.iter().all(|path| path.ends_with("LOCK")), "{left:?}");
    match error {
        Error::InvalidExport { line, fault } => (line, fault),
        error => panic!("{error:?}"),
    }
}

/// The lines without their checksum, so that nothing but their content tells what was done to them.
fn without_checksum(lines: &str) -> String {
    let (rest, sum) = lines.split_once(",\"crc32\":\"").unwrap();
    format!("{rest}{}", &sum[9..])
}

fn joined(lines: &[&str]) -> String {
    [lines.join("\n").as_str(), "\n"].concat()
}

#[test]
fn an_export_that_was_cut_short_is_incomplete() {
    let scene = Scene::lived(0, 60);
    let lines = exported(&scene.engine).1;
    let count = lines.lines().count() as u64;
    let mut cut = 0;
    for (number, line) in (1_u64..).zip(lines.split_inclusive('\n')) {
        for end in [cut, cut + line.len() / 2, cut + line.len() - 1] {
            if end + 1 >= lines.len() {
                continue;
            }
            let (at, fault) = refused(&scene, &lines.as_bytes()[..end]);
            let is_head = end < lines.find('\n').unwrap();
            let missing = if end == cut + line.len() - 1 && number < count { number + 1 } else { number };
            assert!(matches!(fault, ExportFault::Incomplete) || is_head, "{end}: {fault:?}");
            assert!(at == missing || is_head, "{end}: line {at}, not {missing}");
        }
        cut += line.len();
    }
    // The line end of the last line says nothing.
    scene.try_import(&lines.as_bytes()[..lines.len() - 1]).unwrap();
}

#[test]
fn every_line_that_is_missing_twice_or_in_another_place_is_noticed_without_the_checksum() {
    let scene = Scene::lived(4, 40);
    let lines = without_checksum(&exported(&scene.engine).1);
    let lines: Vec<&str> = lines.lines().collect();
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        refused(&scene, joined(&without));
        refused(&scene, joined(&twice));
        if at + 1 < lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            // Claims of a queue may come in any order: only listings have one.
            let claims = [lines[at], lines[at + 1]].iter().all(|line| line.starts_with("{\"claim\""));
            if !claims {
                refused(&scene, joined(&swapped));
            }
        }
    }
    scene.try_import(joined(&lines).as_bytes()).unwrap();
}

#[test]
fn every_changed_byte_is_noticed_or_is_in_the_first_line() {
    // Its messages have no checksums of their own.
    let scene = Scene::lived(1, 40);
    let lines = exported(&scene.engine).1;
    assert!(!lines.contains("\"md5\""));
    let first = lines.len() - behind_the_first(&lines).len();
    let mut random = crate::random::Random::new(1);
    for _ in 0..60 {
        let at = first + random.below((lines.len() - first - 1) as u64) as usize;
        let mut changed = lines.clone().into_bytes();
        changed[at] ^= 1 << random.below(7);
        let error = scene.try_import(&changed).unwrap_err();
        assert!(matches!(error, Error::InvalidExport { .. }), "at {at}: {error:?}");
    }
}

#[test]
fn edited_lines_are_taken_without_a_checksum_and_refused_where_they_contradict() {
    let scene = Scene::new(0);
    let jobs = shop_queue(&scene.engine, "jobs");
    jobs.create(Metadata::new().with("_max_claims_per_second", 2).unwrap()).unwrap();
    jobs.post(CLIENT, &[NewMessage::new("first"), NewMessage::new("second").ttl(MINUTE)]).unwrap();
    let claim = jobs.claim(zaqar_sled::ClaimOptions::new().limit(1)).unwrap().unwrap();
    let id = claim.id().to_string();
    let other = id.chars().rev().collect::<String>().replace('-', "");
    let lines = without_checksum(&exported(&scene.engine).1);
    for (from, to) in [
        ("\"second\"", "\"second\",\"more\":1"),
        ("\"claim_count\":1,", ""),
        ("\"claim_count\":1,", "\"claim_count\":-1,"),
        ("\"claim\":\"", "\"claim\":\"x"),
        ("\"took\":[[", "\"took\":[[\"00000100000000020000010000000001\",1],["),
        ("0001\",1]]", "0002\",1]]"),
        (",1]]", ",4000000000]]"),
        (",1]]", ",0]]"),
        ("\"messages\":2,", "\"messages\":3,"),
        ("\"messages\":2,", "\"messages\":1,"),
        ("\"claims\":1,", "\"claims\":18446744073709551615,"),
        ("\"ttl\":60000,", "\"ttl\":null,"),
        ("\"ttl\":60000,", "\"ttl\":999999999999999,"),
        ("\"body\":{\"text\":\"first\"}", "\"body\":{\"base64\":\"?\"}"),
        ("\"body\":{\"text\":\"first\"}", "\"body\":\"first\""),
        ("\"next\":\"00000100", "\"next\":\"00ffff00"),
        ("\"next\":\"0000010000000001", "\"next\":\"0000000000000001"),
        ("\"queue\":\"jobs\"", "\"queue\":\"\""),
        ("\"metadata\":{", "\"metadata\":{\"_max_claim_count\":-1,"),
        ("\"metadata\":{\"_max_claims_per_second\":2}", "\"metadata\":[]"),
        ("\"lacks\":1000}", "\"lacks\":0}"),
        ("\"lacks\":1000}", "\"lacks\":1000000001}"),
        ("\"lacks\":1000}", "\"lacks\":1000,\"more\":1}"),
        ("\"handed_out\":{\"at\":", "\"handed_out\":{\"at\":999999"),
        ("\"handed_out\":{\"at\":", "\"handed_out\":{\"at\":-"),
        ("\"md5\":\"", "\"md5\":\"0"),
        ("{\"claim\":{\"id\":\"", "{\"clain\":{\"id\":\""),
        ("\n{\"claim\"", "\n\n{\"claim\""),
        (other.as_str(), ""),
    ] {
        let changed = lines.replace(from, to);
        if from == other {
            continue;
        }
        assert_ne!(changed, lines, "{from} is there");
        refused(&scene, &changed);
    }
    // A claimed message that is not under the claim that lists it, and one that two claims list.
    let freed = lines.replace(&format!("\"claim\":\"{id}\","), "");
    assert_ne!(freed, lines);
    refused(&scene, &freed);
    let line = lines.lines().find(|line| line.starts_with("{\"claim\"")).unwrap();
    let twin = line.replace(&id[..8], "12345678");
    let twice = lines.replace(line, &format!("{line}\n{twin}")).replace("\"claims\":1,", "\"claims\":2,");
    let (at, _) = refused(&scene, &twice);
    assert_eq!(twice.lines().nth(at as usize - 1), Some(twin.as_str()));
    let named = lines.replace("\"queue\":\"jobs\"", "\"queue\":\"work\"");
    scene.try_import(named.as_bytes()).unwrap();
}

#[test]
fn the_versions_of_formats_are_told_apart() {
    let scene = Scene::new(0);
    let lines = exported(&scene.engine).1;
    let later = lines.replace("\"format\":1", "\"format\":2").replace("\"time\"", "\"other\"");
    assert!(matches!(refused(&scene, &later), (1, ExportFault::UnsupportedFormat { found: 2, supported: 1 })));
    assert!(matches!(refused(&scene, ""), (1, ExportFault::Incomplete)));
    assert!(matches!(refused(&scene, "hello\n"), (1, ExportFault::Malformed { .. })));
    assert!(matches!(refused(&scene, behind_the_first(&lines)), (1, ExportFault::Malformed { .. })));
    let pooled = lines.replace("\"pooled\":false", "\"pooled\":true");
    assert!(matches!(refused(&scene, &pooled), (1, ExportFault::Refused { .. })));
    let late = lines.replace("\"time\":", "\"time\":253402300");
    assert!(matches!(refused(&scene, &late), (1, ExportFault::Refused { .. })));
    let used_up = lines.replace("\"incarnation\":1,", "\"incarnation\":16777215,");
    assert!(matches!(scene.try_import(used_up.as_bytes()), Err(Error::Exhausted { .. })));
    let more = format!("{lines}{{}}\n");
    assert!(matches!(refused(&scene, &more), (_, ExportFault::OutOfPlace { .. })));
}

#[test]
fn limits_are_those_of_the_import() {
    let scene = Scene::new(0);
    let jobs = shop_queue(&scene.engine, "jobs");
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[NewMessage::new("x".repeat(300_000))]).unwrap();
    let lines = exported(&scene.engine).1;
    let zaqar = Config::new().disk(std::sync::Arc::new(scene.disk.clone())).limits(Limits::zaqar());
    let error = zaqar.clone().import(COPY, lines.as_bytes()).unwrap_err();
    assert!(error.is_too_large() && error.is_invalid(), "{error}");
    assert!(matches!(error, Error::InvalidExport { line: 3, fault: ExportFault::TooLarge { size: 300_000, .. } }));
    scene.try_import(lines.as_bytes()).unwrap();
}

#[test]
fn a_directory_with_anything_in_it_takes_no_import_and_stays_as_it_is() {
    let scene = Scene::lived(0, 40);
    let lines = exported(&scene.engine).1;
    let before = scene.seen(&scene.engine);
    let import = |path: &str| crate::scene::config(&scene.disk, &scene.clock, 0).import(path, lines.as_bytes());
    assert!(import("/store").unwrap_err().is_invalid());
    assert_eq!(scene.seen(&scene.engine), before);
    scene.engine.backup("/backup").unwrap();
    assert!(matches!(import("/backup"), Err(Error::IsBackup { .. })));
    scene.disk.create_dir_all("/other".as_ref()).unwrap();
    scene.disk.create("/other/file".as_ref()).unwrap();
    assert!(import("/other").unwrap_err().is_invalid());
    import(COPY).unwrap();
    let files = crate::images::files(&scene.disk);
    assert!(import(COPY).unwrap_err().is_invalid());
    assert_eq!(crate::images::files(&scene.disk), files, "a refused import changes nothing");
}

#[test]
fn a_reader_that_fails_leaves_no_store() {
    struct Broken<'a>(&'a [u8]);
    impl std::io::Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::Error::other("the cable"));
            }
            self.0.read(buffer)
        }
    }
    let scene = Scene::lived(0, 40);
    let lines = exported(&scene.engine).1;
    for end in [0, 10, lines.len() / 2, lines.len() - 1] {
        let config = crate::scene::config(&scene.disk, &scene.clock, 0);
        let error = config.import(COPY, Broken(&lines.as_bytes()[..end])).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
    scene.try_import(lines.as_bytes()).unwrap();
}

#[test]
fn quotas_are_refused_out_of_their_order_and_without_a_limit() {
    let scene = Scene::new(0);
    scene.engine.projects().set_quota(&Project::none(), &ProjectQuota::new().max_messages(7)).unwrap();
    shop_queue(&scene.engine, "jobs").create(Metadata::new()).unwrap();
    let lines = without_checksum(&exported(&scene.engine).1);
    let quota = lines.lines().find(|line| line.starts_with("{\"quota\"")).unwrap();
    let empty = quota.replace('7', "null");
    assert!(matches!(refused(&scene, lines.replace(quota, &empty)), (2, ExportFault::Malformed { .. })));
    let late = lines.replace(&format!("{quota}\n"), "").replace("{\"end\"", &format!("{quota}\n{{\"end\""));
    assert!(matches!(refused(&scene, &late), (3, ExportFault::OutOfPlace { .. })));
    let twice = lines.replace(quota, &format!("{quota}\n{quota}"));
    assert!(matches!(refused(&scene, &twice), (3, ExportFault::OutOfPlace { .. })));
    let unknown = lines.replace("\"max_messages\"", "\"most_messages\"");
    assert!(matches!(refused(&scene, &unknown), (2, ExportFault::Malformed { .. })));
    let (_, copy) = scene.import(lines.as_bytes());
    assert_eq!(copy.projects().quota(&Project::none()).unwrap(), ProjectQuota::new().max_messages(7));
}
