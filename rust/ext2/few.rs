// SPDX-License-Identifier: GPL-2.0

//! A list that mostly has one element, for which it needs no memory.

use kernel::prelude::*;

/// See [the module](self). Also an empty `KVVec` costs a call of the allocator when it goes: this one does without.
pub(super) struct Few<T> {
    first: Option<T>,
    /// Those behind the first.
    rest: Option<KVVec<T>>,
}

impl<T> Few<T> {
    /// No elements.
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }

    /// Puts an element behind the others. Fails with `ENOMEM`.
    pub(super) fn push(&mut self, element: T) -> Result {
        if self.first.is_none() {
            self.first = Some(element);
            return Ok(());
        }
        Ok(self
            .rest
            .get_or_insert_with(KVVec::new)
            .push(element, GFP_KERNEL)?)
    }

    fn rest(&self) -> &[T] {
        self.rest.as_deref().unwrap_or_default()
    }

    /// The elements in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        Iterator::chain(self.first.iter(), self.rest())
    }

    /// The last element.
    pub(super) fn last(&self) -> Option<&T> {
        self.rest().last().or(self.first.as_ref())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rest()
            .len()
            .saturating_add(self.first.is_some().into())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}
