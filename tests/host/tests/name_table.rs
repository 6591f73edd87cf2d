// SPDX-License-Identifier: GPL-2.0

//! The table of names against a list of what was entered.

use proptest::{collection::vec, prelude::*};
use rext2_host::ext2::name_table::{hash, NameTable};
use std::collections::HashSet;

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, u32),
    Remove(u32, u32),
    /// Takes out what was entered, the first at this place of the list.
    RemoveKnown(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Few hashes, all with neighbouring homes: chains meet, overlap, and go round the end.
    let hash = prop_oneof![0u32..6, 28u32..36, Just(u32::MAX), any::<u32>()];
    prop_oneof![
        4 => (hash.clone(), 0u32..3).prop_map(|(hash, block)| Step::Insert(hash, block)),
        1 => (hash, 0u32..3).prop_map(|(hash, block)| Step::Remove(hash, block)),
        3 => any::<usize>().prop_map(Step::RemoveKnown),
    ]
}

fn check(table: &NameTable<Vec<u64>>, known: &[(u32, u32)]) {
    for &(hash, _) in known
        .iter()
        .chain(&[(0, 0), (31, 0), (u32::MAX, 0), (77, 0)])
    {
        let mut found: Vec<u32> = table.blocks(hash).collect();
        let mut expected: Vec<u32> = known
            .iter()
            .filter(|(other, _)| *other == hash)
            .map(|(_, block)| *block)
            .collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "hash {hash}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn knows_what_was_entered(steps in vec(step(), 1..150)) {
        let mut table = NameTable::new(vec![0; 32]);
        let mut known: Vec<(u32, u32)> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(hash, block) => {
                    if table.is_full() {
                        table = table.moved(vec![0; table.slots() * 2]);
                    }
                    table.insert(hash, block);
                    known.push((hash, block));
                }
                Step::Remove(hash, block) => {
                    let place = known.iter().position(|entry| *entry == (hash, block));
                    prop_assert_eq!(table.remove(hash, block), place.is_some());
                    place.map(|place| known.swap_remove(place));
                }
                Step::RemoveKnown(place) if !known.is_empty() => {
                    let (hash, block) = known.swap_remove(place % known.len());
                    prop_assert!(table.remove(hash, block));
                }
                Step::RemoveKnown(_) => {}
            }
            check(&table, &known);
        }
    }
}

#[test]
fn a_full_table_takes_no_more_and_ends_every_search() {
    let mut table = NameTable::new(vec![0; 16]);
    for block in 0..100 {
        table.insert(15, block);
    }
    assert!(table.is_full());
    assert_eq!(table.blocks(15).count(), 12);
    assert_eq!(table.blocks(16).count(), 0);
}

#[test]
fn without_slots_nothing_is_found() {
    let mut table = NameTable::new(vec![]);
    assert!(table.is_full());
    table.insert(1, 1);
    assert!(!table.remove(1, 1));
    assert_eq!(table.blocks(1).count(), 0);
}

/// Names as programs make them get hashes that spread: over all values, and over the low bits, which choose the slot.
#[test]
fn hashes_spread() {
    for secret in [0, 1, 0x1234_5678_9abc_def0, u64::MAX] {
        let names: Vec<String> = (0..50_000)
            .flat_map(|number| [format!("{number}"), format!("file-{number:08}.txt")])
            .collect();
        let hashes: Vec<u32> = names
            .iter()
            .map(|name| hash(secret, name.as_bytes()))
            .collect();
        let different: HashSet<u32> = hashes.iter().copied().collect();
        assert!(different.len() > 99_990, "{} of 100,000", different.len());
        let mut slots = vec![0u32; 1 << 17];
        for hash in &hashes {
            slots[(hash & 0x1_ffff) as usize] += 1;
        }
        assert!(slots.iter().all(|count| *count < 12), "secret {secret:x}");
    }
}

#[test]
fn hashes_depend_on_all_of_the_name_and_on_the_secret() {
    let names: [&[u8]; 8] = [
        b"a",
        b"a\0",
        b"\0a",
        b"abcdefgh",
        b"abcdefghi",
        b"abcdefgh\0",
        b"bacdefgh",
        b"",
    ];
    let all: HashSet<u32> = names
        .iter()
        .flat_map(|name| [hash(1, name), hash(2, name)])
        .collect();
    assert_eq!(all.len(), 2 * names.len());
}
