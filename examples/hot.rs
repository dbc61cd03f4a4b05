use std::time::{Duration, Instant};
use zaqar_sled::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: u32 = a[1].parse().unwrap();
    let kind = a[2].as_str();
    let dir = std::path::PathBuf::from(&a[3]);
    let _ = std::fs::remove_dir_all(&dir);
    let e = Config::new().durability(Durability::Buffered).open(&dir).unwrap();
    let q = e.queue(Project::named("p").unwrap(), "q").unwrap();
    q.create(Metadata::new()).unwrap();
    let c = ClientId::random();
    let m = [NewMessage::new(vec![b'x'; 256]).ttl(Duration::from_secs(3600))];
    let mut best = f64::MAX;
    for _ in 0..7 {
        let t = Instant::now();
        for _ in 0..n {
            match kind {
                "post" => { q.post(c, &m).unwrap(); }
                "cycle" => {
                    q.post(c, &m).unwrap();
                    let cl = q.claim(ClaimOptions::new().limit(1)).unwrap().unwrap();
                    for x in cl.messages() { cl.delete(x).unwrap(); }
                    drop(cl);
                }
                "stats" => { q.stats().unwrap(); }
                _ => panic!(),
            }
        }
        best = best.min(t.elapsed().as_secs_f64() / f64::from(n) * 1e9);
        q.purge().unwrap();
    }
    println!("{kind} {best:.0} ns");
    let _ = e.close();
    let _ = std::fs::remove_dir_all(&dir);
}
