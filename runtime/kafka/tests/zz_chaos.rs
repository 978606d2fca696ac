#![allow(warnings)]
use millrace_api::batch::raw::*;
use millrace_api::log::*;
use millrace_behaviour::log_suite::support::*;
use millrace_behaviour::log_suite::unique;
use millrace_kafka::*;
use std::collections::*;
use std::time::*;

fn ctl(args: &[&str]) {
    let out = std::process::Command::new("/work/main/tests/services/ctl").args(args).output().unwrap();
    println!("ctl {args:?} {}", out.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos() {
    let log = std::sync::Arc::new(
        KafkaLog::new(&std::env::var("MILLRACE_TEST_KAFKA").unwrap(), ClientProps::default()).unwrap(),
    );
    let (input, output) = (unique("in"), unique("out"));
    for t in [&input, &output] {
        log.create_topic(&TopicSpec { partitions: Some(3), replication: Some(2), ..TopicSpec::new(t.clone()) })
            .await
            .unwrap();
    }
    let start = Instant::now();
    let chaos = std::thread::spawn(|| {
        for b in ["1", "2"] {
            std::thread::sleep(Duration::from_secs(6));
            ctl(&["kill", "kafka", b]);
            std::thread::sleep(Duration::from_secs(6));
            ctl(&["restart", "kafka", b]);
        }
    });
    let l2 = log.clone();
    let i2 = input.clone();
    let sending = tokio::spawn(async move {
        let p = producer(&*l2).await;
        let mut n = 0usize;
        let mut worst = Duration::ZERO;
        while start.elapsed() < Duration::from_secs(50) {
            let mut b = RawBatch::new();
            for _ in 0..200 {
                let s = n.to_string();
                b.push(&RawRecord::new(&i2, Some(s.as_bytes()), Some(s.as_bytes()))).unwrap();
                n += 1;
            }
            let t = Instant::now();
            for r in p.send(&b).await.unwrap() {
                r.unwrap();
            }
            worst = worst.max(t.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("sent {n}, worst {worst:?}");
        n
    });
    // exactly once copy
    let l3 = log.clone();
    let (i3, o3) = (input.clone(), output.clone());
    let copying = tokio::spawn(async move {
        let mut c = member(&*l3, &o3, &[&i3]).await;
        let p = transactional(&*l3, &o3).await;
        let mut last = Instant::now();
        let (mut commits, mut aborts) = (0, 0);
        loop {
            let e = match tokio::time::timeout(Duration::from_secs(12), c.next()).await {
                Err(_) if start.elapsed() > Duration::from_secs(62) => break,
                Err(_) => continue,
                Ok(Ok(e)) => e,
                Ok(Err(e)) => {
                    println!("next {e}");
                    assert!(e.is_retriable());
                    continue;
                }
            };
            let Event::Records(rs) = e else {
                println!("{:?} event", start.elapsed());
                continue;
            };
            let mut b = RawBatch::new();
            let mut offs = Offsets::new();
            for i in 0..rs.len() {
                let r = rs.get(i).unwrap();
                b.push(&RawRecord::new(&o3, r.key, r.value)).unwrap();
                offs.insert(TopicPartition::new(r.topic, r.partition), r.offset + 1);
            }
            let firsts: Vec<_> = {
                let mut m = BTreeMap::new();
                for i in 0..rs.len() {
                    let r = rs.get(i).unwrap();
                    m.entry(TopicPartition::new(r.topic, r.partition)).or_insert(r.offset);
                }
                m.into_iter().collect()
            };
            drop(rs);
            loop {
                let g = c.group_metadata();
                let r: millrace_api::Result<()> = async {
                    p.begin().await?;
                    for r in p.send(&b).await? {
                        r?;
                    }
                    p.send_offsets(&g, &offs).await?;
                    let mut tries = 0;
                    loop {
                        match p.commit().await {
                            Err(e) if e.is_retriable() && tries < 5 => {
                                println!("commit again: {e}");
                                tries += 1
                            }
                            r => return r,
                        }
                    }
                }
                .await;
                match r {
                    Ok(()) => {
                        commits += 1;
                        break;
                    }
                    Err(e) => {
                        println!("{:?} txn: {e} {:?}", start.elapsed(), e.kind());
                        aborts += 1;
                        loop {
                            match p.abort().await {
                                Ok(()) => break,
                                Err(e) => {
                                    println!("abort {e} {:?}", e.kind());
                                    assert!(e.is_retriable());
                                    tokio::time::sleep(Duration::from_millis(300)).await
                                }
                            }
                        }
                    }
                }
            }
        }
        println!("commits {commits} aborts {aborts}");
        c.close().await;
    });
    chaos.join().unwrap();
    let n = sending.await.unwrap();
    copying.await.unwrap();
    for t in [&input, &output] {
        let all = read_all(&*log, t, true).await;
        let set: BTreeSet<usize> = all.iter().map(|g| g.text().parse().unwrap()).collect();
        println!("{t}: {} records, {} distinct of {n}", all.len(), set.len());
        assert_eq!(set.len(), n);
        assert_eq!(all.len(), n);
    }
}
