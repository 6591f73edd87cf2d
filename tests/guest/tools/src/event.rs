// SPDX-License-Identifier: GPL-2.0

//! The journal of a workload: one line for each thing that it did.

/// One thing that was done, as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// File FILE was made with this name.
    Create(u32, String),
    /// Chunks FIRST to END, without END, got generation GENERATION.
    Write(u32, u32, u32, u32),
    /// The file has so many chunks now.
    Truncate(u32, u32),
    /// Chunks FIRST to END are a hole.
    Punch(u32, u32, u32),
    /// The file got this name instead of its own; another file of that name is gone.
    Rename(u32, String),
    /// The directory, and with it all that is below, got this name instead of its own.
    MoveDirectory(String, String),
    /// The file is gone.
    Unlink(u32),
    /// The file's bytes are durable.
    Sync(u32),
    /// Chunks FIRST to END are durable.
    SyncRange(u32, u32, u32),
    /// All names are durable.
    SyncNames,
    /// Everything is durable.
    SyncAll,
    /// What the file was when the journal had so many lines is durable: another thread synced it meanwhile.
    SyncSince(u32, u32),
    /// The same of everything.
    SyncAllSince(u32),
    /// Mark of this number in the log.
    Mark(u32),
}

impl Event {
    /// The line.
    pub fn line(&self) -> String {
        match self {
            Self::Create(file, name) => format!("create {file} {name}"),
            Self::Write(file, first, end, generation) => {
                format!("write {file} {first} {end} {generation}")
            }
            Self::Truncate(file, chunks) => format!("truncate {file} {chunks}"),
            Self::Punch(file, first, end) => format!("punch {file} {first} {end}"),
            Self::Rename(file, name) => format!("rename {file} {name}"),
            Self::MoveDirectory(old, new) => format!("move-directory {old} {new}"),
            Self::Unlink(file) => format!("unlink {file}"),
            Self::Sync(file) => format!("sync {file}"),
            Self::SyncRange(file, first, end) => format!("sync-range {file} {first} {end}"),
            Self::SyncNames => "sync-names".into(),
            Self::SyncAll => "sync-all".into(),
            Self::SyncSince(file, since) => format!("sync-since {file} {since}"),
            Self::SyncAllSince(since) => format!("sync-all-since {since}"),
            Self::Mark(number) => format!("mark {number}"),
        }
    }

    /// What a line says.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
        let name = |at: usize| words.get(at).map(|word| (*word).to_string());
        Some(match *words.first()? {
            "create" => Self::Create(number(1)?, name(2)?),
            "write" => Self::Write(number(1)?, number(2)?, number(3)?, number(4)?),
            "truncate" => Self::Truncate(number(1)?, number(2)?),
            "punch" => Self::Punch(number(1)?, number(2)?, number(3)?),
            "rename" => Self::Rename(number(1)?, name(2)?),
            "move-directory" => Self::MoveDirectory(name(1)?, name(2)?),
            "unlink" => Self::Unlink(number(1)?),
            "sync" => Self::Sync(number(1)?),
            "sync-range" => Self::SyncRange(number(1)?, number(2)?, number(3)?),
            "sync-names" => Self::SyncNames,
            "sync-all" => Self::SyncAll,
            "sync-since" => Self::SyncSince(number(1)?, number(2)?),
            "sync-all-since" => Self::SyncAllSince(number(1)?),
            "mark" => Self::Mark(number(1)?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_events_said() {
        let lines =
            "create 1 a\nwrite 1 0 2 1\ntruncate 1 4\npunch 1 2 3\nsync 1\nsync-range 1 0 2\n\
                     sync-names\nrename 1 b\nmove-directory d0/s1 d1/s2\nunlink 1\nsync-all\nsync-since 1 3\nsync-all-since 4\n\
                     mark 5";
        for line in lines.lines() {
            assert_eq!(
                Event::parse(line).map(|event| event.line()).as_deref(),
                Some(line)
            );
        }
        assert_eq!(Event::parse("write 1 x 2 3"), None);
    }
}
