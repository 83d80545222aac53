//! Lists that grow by a part of themselves instead of doubling: a centre holds thousands of twins, each with dozens of them,
//! and each list ends at a bound that is seldom a power of two.

use alloc::collections::VecDeque;

/// Appends; a full list gets room for a quarter more.
pub(crate) fn push_back<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(4));
    }
    list.push_back(item);
}
