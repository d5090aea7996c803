//! Functions whose instructions callgrind counts apart, so that one process has the same keys and
//! tokens for all of them.

macro_rules! counted {
    ($($name:ident)*) => {$(
        /// Runs it so many times.
        #[inline(never)]
        fn $name(count: u32, run: &mut dyn FnMut()) {
            // Otherwise the compiler could make one function of all.
            std::hint::black_box(stringify!($name));
            for _ in 0..count {
                run();
            }
        }
    )*};
}
pub(crate) use counted;
