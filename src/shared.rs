//! Values that many hosts have in common, kept once.

use std::sync::Arc;

/// Where a value is the same as another one, makes it that one, so that it is kept once.
pub(crate) fn share<T: PartialEq + ?Sized>(own: &mut Arc<T>, other: &Arc<T>) {
    if own == other {
        own.clone_from(other);
    }
}

/// A few values by name, in order. There may be very many hosts, each with its own: so it is a list, and hosts share the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByName<V>(Vec<(Arc<str>, V)>);

impl<V> Default for ByName<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> ByName<V> {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.0.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
    }

    /// Puts a value in the place of what was there.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: V) {
        let name = name.into();
        match self.0.iter_mut().find(|(own, _)| *own == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a value where there is none of its name.
    pub fn add(&mut self, name: &Arc<str>, value: impl FnOnce() -> V) {
        if self.get(name).is_none() {
            self.0.push((name.clone(), value()));
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let at = self.0.iter().position(|(own, _)| **own == *name)?;
        Some(self.0.remove(at).1)
    }

    /// Keeps those values alone for which this holds, in no more room than they need.
    pub fn retain(&mut self, mut holds: impl FnMut(&V) -> bool) {
        self.0.retain(|(_, value)| holds(value));
        self.0.shrink_to_fit();
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl<T: PartialEq + ?Sized> ByName<Arc<T>> {
    /// Shares with others, where those have the same order, what is the same in both.
    pub fn share(&mut self, others: &Self) {
        for ((name, value), (other_name, other_value)) in self.0.iter_mut().zip(&others.0) {
            share(name, other_name);
            share(value, other_value);
        }
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
impl<V> std::ops::Index<&str> for ByName<V> {
    type Output = V;

    fn index(&self, name: &str) -> &V {
        self.get(name).expect("there is such a value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_kept_once() {
        let one: Arc<str> = "omm".into();
        let (mut same, mut other): (Arc<str>, Arc<str>) = ("omm".into(), "root".into());
        share(&mut same, &one);
        share(&mut other, &one);
        assert!(Arc::ptr_eq(&same, &one));
        assert_eq!(&*other, "root");
    }
}
