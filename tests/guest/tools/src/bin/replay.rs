// SPDX-License-Identifier: GPL-2.0

//! Replays a log of `dm-log-writes` onto a disk or an image.

use rext2_guest_tools::{
    die,
    log::{points, Log, FUA},
    random::Random,
};
use std::{fs::File, io::Result};

const USAGE: &str = "usage: replay list LOG
       replay points LOG START-MARK COUNT     every flush behind the mark, and COUNT moments between: DURABLE SENT MARK
       replay points LOG START-MARK COUNT FLUSHES     the same, with about so many of the flushes
       replay apply LOG DISK FROM TO          entries FROM to TO, without TO
       replay apply LOG DISK FROM TO SEED     about half of them, as a cache writes them that loses power";

fn list(log: &Log) {
    for (index, entry) in log.entries.iter().enumerate() {
        let text = entry.mark.as_deref().unwrap_or("");
        println!(
            "{index} flags={} offset={} len={} {text}",
            entry.flags, entry.offset, entry.len
        );
    }
}

fn apply(log: &Log, disk: &str, from: usize, to: usize, seed: Option<u64>) -> Result<()> {
    let disk = File::options().write(true).open(disk)?;
    let mut random = seed.map(Random::new);
    let entries = log.entries.iter().enumerate();
    for (index, entry) in entries.take(to).skip(from) {
        let kept = random.as_mut().is_none_or(|random| random.below(2) == 0);
        if kept || entry.flags & FUA != 0 {
            log.apply(index, &disk)?;
        }
    }
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| {
        text.parse()
            .unwrap_or_else(|_| die(&format!("'{text}' is no number")))
    };
    let open =
        |path: &str| Log::open(path).unwrap_or_else(|error| die(&format!("{path}: {error}")));
    let result = match words.as_slice() {
        ["list", log] => {
            list(&open(log));
            Ok(())
        }
        ["points", log, start, count, flushes @ ..] if flushes.len() < 2 => {
            let most = flushes.first().map_or(usize::MAX, |count| number(count));
            for point in points(&open(log).entries, start, number(count), most) {
                println!("{} {} {}", point.durable, point.sent, point.mark);
            }
            Ok(())
        }
        ["apply", log, disk, from, to] => apply(&open(log), disk, number(from), number(to), None),
        ["apply", log, disk, from, to, seed] => apply(
            &open(log),
            disk,
            number(from),
            number(to),
            Some(number(seed) as u64),
        ),
        _ => die(USAGE),
    };
    result.unwrap_or_else(|error| die(&error.to_string()));
}
