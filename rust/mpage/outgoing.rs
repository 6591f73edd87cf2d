// SPDX-License-Identifier: GPL-2.0

//! The bio that a pass of writeback fills, and what the file system is told of it.

use super::{
    plan::{Reason, SECTOR_SHIFT},
    submit::{segments_for, FEW_SEGMENTS},
    write::WriteMap,
    writeback::Writer,
};
use crate::vfs::{
    bio::OpenBio, folio::LockedFolio, ticket::Ticket, trace::Direction, writeback::Writeback,
};
use core::ops::Range;
use kernel::prelude::*;

impl<T: WriteMap> Writer<'_, '_, T> {
    /// Appends `range` of the folio to the open bio. `false` if that was full, and a new one was begun.
    pub(super) fn append(
        &mut self,
        pass: &mut Writeback<'_, T>,
        folio: &LockedFolio<'_>,
        range: Range<u64>,
        sector: u64,
        expected: u64,
    ) -> bool {
        if let Some(open) = &mut self.open {
            if open.append(folio, range.clone()) {
                self.tell(folio, &range, sector);
                return true;
            }
        }
        let first = self.open.is_none();
        if !first {
            self.send(Reason::Full);
        }
        let segments = match self.scattered {
            true => FEW_SEGMENTS,
            false => segments_for(expected),
        };
        if self.scattered {
            self.plug.separate(self.rest.runs().len());
        }
        let mut open = OpenBio::write(pass, sector, segments);
        // An empty bio has room for one piece.
        let _ = open.append(folio, range.clone());
        self.open = Some(open);
        self.tell(folio, &range, sector);
        first
    }

    /// A ticket for another bio with fresh blocks: one that fails costs its own blocks only. Without memory it shares that of the last.
    fn renew_ticket(&mut self) {
        if !self.awaited {
            return;
        }
        if let Ok(ticket) = Ticket::new() {
            core::mem::replace(&mut self.ticket, ticket).leave(true);
            self.awaited = false;
        }
    }

    /// Notes that fresh blocks have joined the open bio. The file system is told of them a row at a time, before they
    /// are sent: once a page is clean and gone, whoever needs it looks on the disk.
    fn tell(&mut self, folio: &LockedFolio<'_>, piece: &Range<u64>, sector: u64) {
        if !self.fresh {
            return;
        }
        if !self.open.as_ref().is_some_and(OpenBio::has_ticket) {
            self.renew_ticket();
            if let Some(open) = &mut self.open {
                open.hold(&self.ticket);
            }
        }
        let bits = self.inode.block_bits();
        let first = folio.pos().saturating_add(piece.start) >> bits;
        let end = folio.pos().saturating_add(piece.end) >> bits;
        if self.untold.end != first || self.untold.is_empty() {
            self.tell_now();
            self.untold.start = first;
            self.untold_disk = sector >> bits.saturating_sub(SECTOR_SHIFT);
        }
        self.untold.end = end;
    }

    fn tell_now(&mut self) {
        let untold = core::mem::replace(&mut self.untold, 0..0);
        if !untold.is_empty() {
            let told = T::submitted(self.inode, untold, self.untold_disk, &self.ticket);
            self.awaited = true;
            self.refused = self.refused.or(told.err());
        }
    }

    /// What came of telling the file system since the last time.
    pub(super) fn told(&mut self) -> Result {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Sends the open bio, if there is one. If the file system could not be told of its blocks they may be another file's
    /// by now, and nobody would find what is written there: the bio fails.
    pub(super) fn send(&mut self, reason: Reason) {
        self.tell_now();
        let refused = self.refused.take();
        self.error = self.error.or(refused);
        self.scattered = matches!(reason, Reason::NotAdjacent | Reason::Gap);
        if let Some(open) = self.open.take() {
            self.inode.trace_bio(&open, reason as u8, Direction::Write);
            match refused {
                None => open.send(),
                Some(_) => open.fail(),
            }
        }
    }
}
