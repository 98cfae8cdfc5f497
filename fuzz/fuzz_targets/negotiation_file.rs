//! Arbitrary texts as GENIUS files, talks, mechanisms and agreements: read or refused.

#![no_main]

use coact_negotiation::agreement::Agreement;
use coact_negotiation::bargaining::{Scenario, read_genius};
use coact_negotiation::mechanisms::Mechanism;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = read_genius(text);
    let _ = Agreement::parse(text);
    if let Ok(scenario) = Scenario::parse(text) {
        let _ = scenario.space();
    }
    if let Ok(mechanism) = Mechanism::parse(text) {
        for method in mechanism.methods() {
            let _ = mechanism.run(method);
        }
    }
});
