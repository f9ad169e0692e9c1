//! A run's logs: tables that resume to the byte, event files as TensorBoard writes them, words.

use crate::common::folder::Folder;
use std::fs;
use std::path::{Path, PathBuf};
use unnoise::picture::Pictures;
use unnoise::train::log::{
    Event, Events, Format, Kinds, Log, Rate, Row, Summary, Table, crc32c, describe, record,
};

struct Run(Folder);

impl Run {
    fn new(test: &str) -> Self {
        Self(Folder::new(test))
    }

    fn text(&self, format: Format) -> String {
        fs::read_to_string(self.0.join(format.file_name())).expect("a table")
    }
}

fn row(step: u64) -> Row {
    let x = 1.0 / step as f32;
    Row {
        step,
        loss: (!step.is_multiple_of(7)).then_some(x),
        loss_smoothed: Some(f64::from(x) / 3.0),
        grad_norm: Some(x * 1e-20),
        lr: 1e-4 / step as f64,
        loss_quartiles: [Some(x), None, Some(f32::MIN_POSITIVE), Some(1e30)],
        images: step * 64,
        skipped: step / 7,
    }
}

fn fill(run: &Path, format: Format, after: u64, to: u64, saved: &[Row]) {
    let mut table = Table::open(run, format, after, saved).expect("a table");
    (after + 1..=to).for_each(|step| table.add(&row(step)).expect("a row"));
    table.sync().expect("on the disk");
}

const FORMATS: [Format; 2] = [Format::Csv, Format::Jsonl];

#[test]
fn rows_are_written_as_told() {
    let run = Run::new("rows");
    for format in FORMATS {
        fill(&run.0, format, 0, 7, &[]);
    }
    let csv = run.text(Format::Csv);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[0], Row::HEADER);
    let first = "1,1,0.3333333333333333,0.00000000000000000001,0.0001,1,,\
                 0.000000000000000000000000000000000000011754944,1000000000000000000000000000000,64,0";
    assert_eq!(lines[1], first);
    assert!(lines[7].starts_with("7,,"), "{}", lines[7]);
    let jsonl = run.text(Format::Jsonl);
    let rows: Vec<Row> =
        jsonl.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows, (1..=7).map(row).collect::<Vec<_>>(), "every number comes back to the bit");
    assert!(jsonl.lines().nth(6).is_some_and(|line| line.contains("\"loss\":null")), "{jsonl}");
}

#[test]
fn a_resumed_table_has_the_bytes_of_one_that_never_stopped() {
    for format in FORMATS {
        let whole = Run::new("whole");
        fill(&whole.0, format, 0, 30, &[]);
        let want = whole.text(format);
        // Killed after step 23, with step 20 saved. The file may be cut anywhere.
        let part = Run::new("part");
        fill(&part.0, format, 0, 23, &[]);
        let bytes = part.text(format).into_bytes();
        let saved: Vec<Row> = (11..=20).map(row).collect();
        let rows_to = |step: u64| {
            let at = |line: &&str| line.contains(&format!("{},", step + 1));
            want.lines().skip(1).find(at).and_then(|line| want.find(line)).unwrap_or(want.len())
        };
        // Rows that the checkpoint does not hold must be in the file.
        for keep in (rows_to(12)..=bytes.len()).step_by(13) {
            fs::write(part.0.join(format.file_name()), &bytes[..keep]).expect("cut");
            fill(&part.0, format, 20, 30, &saved);
            assert_eq!(part.text(format), want, "{format:?} cut after {keep} bytes");
        }
    }
}

#[test]
fn a_new_run_begins_anew_and_garbage_goes() {
    for format in FORMATS {
        let run = Run::new("anew");
        fill(&run.0, format, 0, 5, &[]);
        let first = run.text(format);
        fill(&run.0, format, 0, 5, &[]);
        assert_eq!(run.text(format), first);
        let mut bytes = first.clone().into_bytes();
        bytes.extend(b"\xff\xfe garbage\n3,too,few\n{\"step\": 6}\n");
        fs::write(run.0.join(format.file_name()), bytes).expect("written");
        drop(Table::open(&run.0, format, 9, &[]).expect("a table"));
        assert_eq!(run.text(format), first);
    }
}

/// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
#[test]
fn checksums_are_castagnolis() {
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    for (bytes, want) in [
        (&[0; 32][..], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&ascending, 0x46dd_794e),
        (&descending, 0x113f_db5c),
        (b"123456789", 0xe306_9283),
        (b"", 0),
    ] {
        assert_eq!(crc32c(bytes), want, "{bytes:?}");
    }
}

/// `fixtures/train_log/make.py` made the file with TensorBoard's own code.
#[test]
fn events_are_tensorboards_byte_for_byte() {
    let want = fs::read("tests/fixtures/train_log/events.tfevents").expect("the fixture");
    let scalar = |tag: &str, value| Summary::Scalar { tag: tag.to_owned(), value };
    let png: Vec<u8> = (0..=255).chain(0..=255).collect();
    let picture =
        Summary::Picture { tag: "samples/ä".to_owned(), height: 300, width: 2, channels: 3, png };
    let values =
        vec![scalar("loss/train", 0.125), scalar("optimizer/lr", 0.0), scalar("loss/train", -3e38)];
    let events = [
        (1_700_000_000.25, Event::Version),
        (1_700_000_001.5, Event::Start(501)),
        (1_700_000_002.0, Event::Summaries(510, values)),
        (1_700_000_003.0, Event::Summaries(1 << 40, vec![picture])),
        (0.5, Event::Summaries(0, vec![scalar("t", 1.0)])),
    ];
    let found: Vec<u8> =
        events.iter().flat_map(|(time, event)| record(&event.encode(*time))).collect();
    assert_eq!(found, want);
}

#[test]
fn each_process_has_its_events_in_order() {
    let run = Run::new("events");
    let kinds = Kinds { csv: false, jsonl: false, tensorboard: true };
    for step in [0, 10, 20] {
        let mut log = Log::open(&run.0, kinds, step, &[]).expect("logs");
        log.row(&row(step + 1), 12.5).expect("a row");
        let pictures = Pictures { n: 1, h: 1, w: 1, c: 3, data: vec![1, 2, 3] };
        log.picture("samples/ema", step + 1, &pictures).expect("a picture");
        log.sync().expect("on the disk");
    }
    assert!(!run.0.join("metrics.csv").exists());
    let mut files: Vec<PathBuf> = fs::read_dir(run.0.join("tensorboard"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 3, "{files:?}");
    for (file, step) in files.iter().zip([0u64, 10, 20]) {
        let bytes = fs::read(file).expect("events");
        let has = |part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
        assert!(
            has(b"brain.Event:2") && has(b"optimizer/lr") && has(b"throughput/images_per_second")
        );
        assert!(has(b"samples/ema") && has(b"\x89PNG"));
        // session_log { status: START } at the step after the one resumed.
        let start = [0x10, step as u8 + 1, 0x3a, 0x02, 0x08, 0x01];
        assert!(has(&start), "{file:?}");
    }
    let file = run.0.join("tensorboard/file");
    fs::write(&file, "").expect("a file");
    assert!(Events::create(&file, 0).is_err(), "a file is no folder");
}

#[test]
fn nothing_is_written_that_was_not_asked_for() {
    let run = Run::new("quiet");
    let kinds = Kinds { csv: true, jsonl: false, tensorboard: false };
    let mut log = Log::open(&run.0, kinds, 0, &[]).expect("logs");
    log.row(&row(1), 1.0).expect("a row");
    let pictures = Pictures { n: 1, h: 1, w: 1, c: 3, data: vec![1, 2, 3] };
    log.picture("samples", 1, &pictures).expect("not asked for");
    let names: Vec<_> = fs::read_dir(&run.0).expect("the run").flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_step_reads_well() {
    let row = Row {
        step: 500,
        loss_smoothed: Some(0.034_56),
        grad_norm: Some(0.4321),
        lr: 2e-4,
        ..Row::default()
    };
    let rate = Rate { steps: 18.0, images: 1152.0 };
    assert_eq!(
        describe(&row, rate, 44_280, 180.0),
        "loss 0.0346  grad 0.432  lr 2.00e-4  18 it/s  1152 images/s  44 min left"
    );
    let bad = Row { grad_norm: None, loss_smoothed: None, skipped: 3, ..row };
    assert_eq!(
        describe(&bad, Rate::default(), 10, 5.0),
        "loss -  grad not finite  lr 2.00e-4  skipped 3"
    );
}
