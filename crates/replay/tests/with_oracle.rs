//! The replay against a plain oracle over random worlds.

use proptest::prelude::*;

mod oracle;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_definition(tape in proptest::collection::vec(any::<u8>(), 30..4000)) {
        oracle::play(&tape);
    }
}
