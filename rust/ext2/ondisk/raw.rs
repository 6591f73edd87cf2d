// SPDX-License-Identifier: GPL-2.0

//! Views of records made of little-endian fields.
//!
//! A record is bytes of a buffer that somebody else owns: a metadata block in the buffer cache, or
//! an array on the stack. [`Raw`] and [`RawMut`] are such bytes together with the record's
//! [`Layout`]; a [`Field`] belongs to one layout and says at which byte it is and what integer it
//! holds. A field that would not fit its record does not compile, so reading and writing a field
//! cannot fail.

use core::marker::PhantomData;

/// The size of a record and its name.
pub trait Layout {
    /// Length of the record in bytes; every field of the layout ends at or before it.
    const SIZE: usize;
}

/// A value stored in a record: little-endian on disk, native in memory.
pub trait Value: Copy {
    /// Length on disk in bytes.
    const SIZE: usize;

    /// The value whose bytes are all zero.
    const ZERO: Self;

    /// Reads the value at byte `at`; `None` if it is not inside `bytes`.
    fn read(bytes: &[u8], at: usize) -> Option<Self>;

    /// Writes the value at byte `at`; `None`, with `bytes` unchanged, if it is not inside `bytes`.
    fn write(self, bytes: &mut [u8], at: usize) -> Option<()>;
}

macro_rules! little_endian {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            const SIZE: usize = size_of::<$ty>();
            const ZERO: Self = 0;

            #[inline]
            fn read(bytes: &[u8], at: usize) -> Option<Self> {
                Some(<$ty>::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
            }

            #[inline]
            fn write(self, bytes: &mut [u8], at: usize) -> Option<()> {
                *bytes.get_mut(at..)?.first_chunk_mut()? = self.to_le_bytes();
                Some(())
            }
        }
    )*};
}

little_endian!(u8, u16, u32, u64);

impl<const N: usize> Value for [u8; N] {
    const SIZE: usize = N;
    const ZERO: Self = [0; N];

    #[inline]
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        bytes.get(at..)?.first_chunk().copied()
    }

    #[inline]
    fn write(self, bytes: &mut [u8], at: usize) -> Option<()> {
        *bytes.get_mut(at..)?.first_chunk_mut()? = self;
        Some(())
    }
}

/// The `u32` at byte `at` of `bytes`, or `None` if it is not inside them.
#[inline]
pub fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    u32::read(bytes, at)
}

/// A field of layout `L` that holds a `T`.
pub struct Field<L, T> {
    at: usize,
    marker: PhantomData<fn(L) -> T>,
}

impl<L, T> Clone for Field<L, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, T> Copy for Field<L, T> {}

impl<L: Layout, T: Value> Field<L, T> {
    /// A field at byte `at` of the record. To be used in constants, where a misplaced field fails
    /// to compile.
    pub const fn at(at: usize) -> Self {
        assert!(T::SIZE <= L::SIZE && at <= L::SIZE - T::SIZE);
        Self {
            at,
            marker: PhantomData,
        }
    }

    /// The first byte of the field.
    pub const fn start(self) -> usize {
        self.at
    }

    /// The first byte after the field.
    pub const fn end(self) -> usize {
        self.at.wrapping_add(T::SIZE)
    }
}

/// Bytes of a record that are only read.
///
/// # Invariants
///
/// The bytes are at least `L::SIZE` long.
pub struct Raw<'a, L> {
    bytes: &'a [u8],
    marker: PhantomData<fn() -> L>,
}

impl<L> Clone for Raw<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Raw<'_, L> {}

impl<'a, L: Layout> Raw<'a, L> {
    /// A view of the record at the beginning of `bytes`; `None` if they are too short for it.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= L::SIZE).then_some(Self {
            bytes,
            marker: PhantomData,
        })
    }

    /// The field's value.
    #[inline]
    pub fn get<T: Value>(&self, field: Field<L, T>) -> T {
        // Zero is never taken: the type's invariant and `Field::at` keep the field inside the
        // bytes.
        T::read(self.bytes, field.at).unwrap_or(T::ZERO)
    }

    /// All bytes of the view.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Bytes of a record that are read and written.
///
/// # Invariants
///
/// The bytes are at least `L::SIZE` long.
pub struct RawMut<'a, L> {
    bytes: &'a mut [u8],
    marker: PhantomData<fn() -> L>,
}

impl<'a, L: Layout> RawMut<'a, L> {
    /// A view of the record at the beginning of `bytes`; `None` if they are too short for it.
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Option<Self> {
        if bytes.len() < L::SIZE {
            return None;
        }
        Some(Self {
            bytes,
            marker: PhantomData,
        })
    }

    /// The same record, to be read.
    #[inline]
    pub fn as_raw(&self) -> Raw<'_, L> {
        Raw {
            bytes: self.bytes,
            marker: PhantomData,
        }
    }

    /// The field's value.
    #[inline]
    pub fn get<T: Value>(&self, field: Field<L, T>) -> T {
        self.as_raw().get(field)
    }

    /// Changes the field.
    #[inline]
    pub fn set<T: Value>(&mut self, field: Field<L, T>, value: T) {
        // Never `None`: the type's invariant and `Field::at` keep the field inside the bytes.
        let _ = value.write(self.bytes, field.at);
    }

    /// All bytes of the view.
    #[inline]
    pub fn bytes(&mut self) -> &mut [u8] {
        self.bytes
    }
}

/// Declares a [`Layout`] and its [`Field`]s.
///
/// ```ignore
/// record! {
///     /// A point.
///     pub Point: 8 bytes {
///         /// Distance from the left, in pixels.
///         X: u32 = 0x0,
///         /// Distance from the top, in pixels.
///         Y: u32 = 0x4,
///     }
/// }
/// ```
macro_rules! record {
    (
        $(#[$layout_doc:meta])*
        pub $layout:ident: $size:literal bytes {
            $($(#[$doc:meta])* $name:ident: $ty:ty = $at:literal,)*
        }
    ) => {
        $(#[$layout_doc])*
        pub enum $layout {}

        impl super::raw::Layout for $layout {
            const SIZE: usize = $size;
        }

        $(
            $(#[$doc])*
            pub const $name: super::raw::Field<$layout, $ty> =
                super::raw::Field::at($at);
        )*
    };
}

pub(crate) use record;
