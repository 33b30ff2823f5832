//! Items with stable keys, and lists that run through them: the shape of the scheduler's memory.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    ops::{Index, IndexMut},
};

/// Names an item of a [`Slab`].
pub(crate) struct Key<T>(usize, PhantomData<fn() -> T>);

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Key<T> {}
impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Items by key; keys of removed items are used again.
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, item: T) -> Key<T> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() - 1
        });
        self.items[at] = Some(item);
        Key(at, PhantomData)
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let item = self.items.get_mut(key.0)?.take();
        if item.is_some() {
            self.free.push(key.0);
        }
        item
    }

    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        self.items.get(key.0)?.as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<T>> + '_ {
        self.items.iter().enumerate().filter(|(_, item)| item.is_some()).map(|(at, _)| Key(at, PhantomData))
    }
}

impl<T> Index<Key<T>> for Slab<T> {
    type Output = T;
    fn index(&self, key: Key<T>) -> &T {
        match self.items.get(key.0) {
            Some(Some(item)) => item,
            _ => unreachable!("a key outlived its item"),
        }
    }
}

impl<T> IndexMut<Key<T>> for Slab<T> {
    fn index_mut(&mut self, key: Key<T>) -> &mut T {
        match self.items.get_mut(key.0) {
            Some(Some(item)) => item,
            _ => unreachable!("a key outlived its item"),
        }
    }
}

/// An item's neighbours in one list.
pub(crate) struct Link<T> {
    pub(crate) prev: Option<Key<T>>,
    pub(crate) next: Option<Key<T>>,
}

impl<T> Default for Link<T> {
    fn default() -> Self {
        Self { prev: None, next: None }
    }
}

/// A doubly linked list through the items of a slab; `link` names the field that it uses.
pub(crate) struct List<T> {
    pub(crate) first: Option<Key<T>>,
    pub(crate) last: Option<Key<T>>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { first: None, last: None }
    }
}

/// Picks the field of an item that holds its neighbours.
pub(crate) type LinkOf<T> = fn(&mut T) -> &mut Link<T>;

impl<T> List<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn push_back(&mut self, slab: &mut Slab<T>, key: Key<T>, link: LinkOf<T>) {
        self.insert(slab, (self.last, None), key, link);
    }

    pub(crate) fn push_front(&mut self, slab: &mut Slab<T>, key: Key<T>, link: LinkOf<T>) {
        self.insert(slab, (None, self.first), key, link);
    }

    /// Puts the item between two neighbours.
    pub(crate) fn insert(
        &mut self,
        slab: &mut Slab<T>,
        (prev, next): (Option<Key<T>>, Option<Key<T>>),
        key: Key<T>,
        link: LinkOf<T>,
    ) {
        *link(&mut slab[key]) = Link { prev, next };
        match prev {
            Some(prev) => link(&mut slab[prev]).next = Some(key),
            None => self.first = Some(key),
        }
        match next {
            Some(next) => link(&mut slab[next]).prev = Some(key),
            None => self.last = Some(key),
        }
    }

    pub(crate) fn remove(&mut self, slab: &mut Slab<T>, key: Key<T>, link: LinkOf<T>) {
        let Link { prev, next } = std::mem::take(link(&mut slab[key]));
        match prev {
            Some(prev) => link(&mut slab[prev]).next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => link(&mut slab[next]).prev = prev,
            None => self.last = prev,
        }
    }

    /// Moves everything up to and including `key` to the end, so that the next round begins behind it.
    pub(crate) fn rotate_to_end(&mut self, slab: &mut Slab<T>, key: Key<T>, link: LinkOf<T>) {
        let (Some(first), Some(last)) = (self.first, self.last) else { return };
        let Some(next) = link(&mut slab[key]).next else { return };
        link(&mut slab[last]).next = Some(first);
        link(&mut slab[first]).prev = Some(last);
        link(&mut slab[key]).next = None;
        link(&mut slab[next]).prev = None;
        self.first = Some(next);
        self.last = Some(key);
    }
}
