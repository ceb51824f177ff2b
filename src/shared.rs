//! Values that many hosts have in common, kept once.

use std::sync::Arc;

/// Where a value is the same as another one, makes it that one, so that it is kept once.
pub(crate) fn share<T: PartialEq + ?Sized>(own: &mut Arc<T>, other: &Arc<T>) {
    if own == other {
        own.clone_from(other);
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
